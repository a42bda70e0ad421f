import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAMS } from './harness-daemon/programs.ts';

const POLICY = `version: 1
securityGroups:
  web:
    inbound: [{ protocol: tcp, ports: "22,8080", source: any }]
    outbound: [{ protocol: tcp, ports: 443, destination: any }]
instances:
  "*": { interfaces: { eth0: { securityGroups: [web] } } }
  other: { hostname: another-host.example, interfaces: { eth0: { securityGroups: [web] } } }
`;

const FOREIGN = `
table ip filter {
  chain INPUT {
    type filter hook input priority 5; policy drop;
    accept
  }
}
table ip6 filter {
  chain INPUT {
    type filter hook input priority 5;
  }
}
table inet mine {
  chain out {
    type filter hook output priority 5;
  }
  chain routed {
    type filter hook forward priority 5; policy drop;
  }
}
table ip nat {
  chain PREROUTING {
    type nat hook prerouting priority dstnat;
    tcp dport 2222 redirect to :22
    tcp dport 8000-8080 dnat to 172.17.0.2:80
  }
}
`;

const OWN = `
table inet secgroupd {
  chain in {
    type filter hook input priority 0; policy drop;
  }
}
`;

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'explain-other-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Asked {
  readonly ruleset: string;
  readonly words: string;
  /** What runs sgctl in the namespace. */
  readonly wrapper?: string;
}

/** What `sgctl explain` prints in a network namespace of its own that holds a ruleset. */
function explain({ ruleset, words, wrapper = '' }: Asked): string {
  writeFileSync(join(directory, 'ruleset.nft'), ruleset);
  const commands = [
    'ip link add eth0 type veth peer name eth1',
    `nft -f ${directory}/ruleset.nft`,
    `exec ${wrapper} ${process.execPath} ${PROGRAMS.sgctl} explain --policy ${directory}/policy.yaml --interface eth0 ${words}`,
  ];
  return execFileSync('unshare', ['--net', 'sh', '-ec', commands.join('\n')], { encoding: 'utf8' });
}

const V4 = '--protocol tcp --src 192.0.2.7 --dst 198.51.100.1';
const V6 = '--protocol tcp --src 2001:db8::7 --dst 2001:db8::1';

const DROPS = 'but        other tables may still drop it: ';
const INPUT = `${DROPS}table ip filter, chain INPUT (policy drop)`;
const NAT = 'before     table ip nat, chain PREROUTING may change its destination';

test.each([
  ['an allowed packet', `--direction inbound ${V4} --dport 22`, [INPUT, `${NAT} before these rules see it`]],
  [
    'a published port',
    `--direction inbound ${V4} --dport 8080`,
    [INPUT, `${NAT} to 172.17.0.2:80 before these rules see it`],
  ],
  [
    'a denied one, which may come by another port',
    `--direction inbound ${V4} --dport 2222`,
    [`${NAT} before these rules see it`],
  ],
  ['the other family', `--direction inbound ${V6} --dport 22`, [`${DROPS}table ip6 filter, chain INPUT`]],
  ['the other direction', `--direction outbound ${V4} --dport 443`, [`${DROPS}table inet mine, chain out`]],
  ['the other direction, denied', `--direction outbound ${V4} --dport 25`, []],
])('of %s tells which chains of other tables it meets', (_, words, lines) => {
  const out = explain({ ruleset: `${FOREIGN}${OWN}`, words });
  expect(
    out
      .trimEnd()
      .split('\n')
      .filter((line) => /^(?:but|before) /.test(line)),
  ).toEqual(lines);
});

test('says nothing of other tables where there are none but ours', () => {
  const words = `--direction inbound ${V4} --dport 22`;
  const out = explain({ ruleset: OWN, words });
  expect(out).toMatch(/^allow {2}new tcp connection/);
  expect(out).not.toContain('other tables');
  expect(JSON.parse(explain({ ruleset: OWN, words: `${words} --json` }))).toMatchObject({ otherTables: [] });
});

test('says nothing where it may not look, or of another host', () => {
  const words = `--direction inbound ${V4} --dport 22`;
  const wrapper = 'setpriv --bounding-set=-net_admin --inh-caps=-net_admin';
  expect(explain({ ruleset: FOREIGN, words, wrapper })).not.toContain('other tables');
  expect(explain({ ruleset: FOREIGN, words: `${words} --instance other` })).not.toContain('other tables');
  expect(JSON.parse(explain({ ruleset: FOREIGN, words: `${words} --json`, wrapper }))).toMatchObject({
    verdict: 'allow',
    otherTables: null,
  });
});

test('tells scripts which chains, and what they can do', () => {
  const out = explain({ ruleset: FOREIGN, words: `--direction inbound ${V4} --dport 8080 --json` });
  expect(JSON.parse(out)).toMatchObject({
    verdict: 'allow',
    otherTables: [
      { table: 'ip filter', chain: 'INPUT', hook: 'input', policy: 'drop', effect: 'drop', to: null },
      { table: 'ip nat', chain: 'PREROUTING', hook: 'prerouting', effect: 'redirect', to: '172.17.0.2:80' },
    ],
  });
});
