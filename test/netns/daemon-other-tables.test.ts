import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { createSite, reached, replaceFile, type Site } from './harness-daemon/site.ts';

function policy(port: number): string {
  return `version: 1
addressGroups:
  ranges: { addresses: [198.51.100.0/24, 203.0.113.7] }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: "${port},443", source: any }
      - { protocol: udp, ports: ${port}, source: { addressGroup: ranges } }
    outbound: [{ destination: any }]
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

/** Tables as Docker makes them by iptables-nft, and as people make them. Their counters stand on hooks no packet comes by. */
const OTHERS = `
table ip nat {
  chain DOCKER {
    iifname "docker0" counter packets 0 bytes 0 return
    iifname != "docker0" meta l4proto tcp tcp dport 8080 counter packets 7 bytes 420 dnat to 172.17.0.2:80
  }
  chain PREROUTING {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump DOCKER
  }
  chain POSTROUTING {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != "docker0" ip saddr 172.17.0.0/16 counter packets 3 bytes 180 masquerade
  }
}
table ip filter {
  chain DOCKER {
    iifname != "docker0" oifname "docker0" meta l4proto tcp ip daddr 172.17.0.2 tcp dport 80 counter packets 1 bytes 60 accept
  }
  chain DOCKER-USER {
    counter packets 9 bytes 900 return
  }
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    counter packets 11 bytes 1100 jump DOCKER-USER
    oifname "docker0" counter packets 11 bytes 1100 jump DOCKER
  }
}
table inet mine {
  set friends {
    type ipv4_addr
    flags interval
    elements = { 192.0.2.0/24, 198.51.100.1-198.51.100.9 }
  }
  map ports {
    type inet_service : verdict
    elements = { 1 : accept, 2 : drop }
  }
  chain input {
    type filter hook input priority 10; policy accept;
    ip saddr @friends tcp dport 9999 drop comment "never the neighbours"
  }
}
table ip6 x {
  chain input {
    type filter hook input priority -10; policy accept;
    ip6 saddr 2001:db8:bad::/48 drop
  }
}
`;

const OTHER_NAMES = ['ip nat', 'ip filter', 'inet mine', 'ip6 x', 'inet harness'];

describe('tables of others', () => {
  let site: Site;

  beforeAll(async () => {
    site = await createSite({ interfaces: [{ name: 'eth0' }] });
    await site.world.nft(OTHERS);
  });
  afterAll(async () => {
    await site?.remove();
  });

  /** The whole ruleset, handles and counters included, without our table; and whether ours is in it. */
  async function ruleset(): Promise<{ readonly others: string; readonly ours: boolean }> {
    const text = await site.nft('-a', 'list', 'ruleset');
    const others = `${text}\n`.replace(/^table inet secgroupd \{[^]*?^\}\n/m, '');
    return { others, ours: others !== `${text}\n` };
  }

  /** The arrivals of a TCP packet each to an open and a closed port. */
  async function openPorts(ports: readonly number[]): Promise<readonly number[]> {
    const packets = ports.map((destinationPort, i) => ({
      ...{ source: '203.0.113.9', destination: '10.77.0.1', protocol: 6, destinationPort },
      sourcePort: 1_024 + i,
      identity: i + 1,
    }));
    await site.world.flushConntrack();
    const arrived = await sendInbound(site.world, 'eth0', packets);
    return ports.filter((_, i) => arrived.has(i + 1));
  }

  test('are byte for byte the same through start, reloads, a refusal, stop and clear; clear removes ours alone', async () => {
    const before = await ruleset();
    for (const name of OTHER_NAMES) expect(before.others).toContain(`table ${name} {`);
    expect(before.ours).toBe(false);
    const same = { others: before.others, ours: true };
    const openBefore = await openPorts([80, 81]);
    expect(openBefore).toEqual([80, 81]);

    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    expect(await ruleset()).toEqual(same);
    for (const [port, generation] of [
      [81, 2],
      [80, 3],
      [82, 4],
    ] as const) {
      replaceFile(site.policyFile, policy(port));
      await daemon.until(`port ${port} is open`, reached(generation));
      expect(await ruleset()).toEqual(same);
    }
    replaceFile(site.policyFile, `${policy(80)}  nonsense\n`);
    await daemon.until('refused', ({ state }) => state === 'refused');
    expect(await ruleset()).toEqual(same);

    expect(await daemon.stop()).toEqual({ exitCode: 0, signal: null });
    expect(await ruleset()).toEqual(same);
    expect(await site.sgctl('clear', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await ruleset()).toEqual({ others: before.others, ours: false });
    expect(await openPorts([80, 81])).toEqual([80, 81]);
  });

  test('clear with a daemon at work removes ours and keeps it away, until the policy changes', async () => {
    const before = await ruleset();
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    expect(await openPorts([80, 81])).toEqual([80]);
    expect((await site.sgctl('clear', '--yes')).exitCode).toBe(0);
    expect(await ruleset()).toEqual({ others: before.others, ours: false });
    expect(await openPorts([80, 81])).toEqual([80, 81]);
    expect(await daemon.status()).toMatchObject({ state: 'cleared', inForce: null });
    expect((await site.sgctl('status')).stdout).toContain('OFF (sgctl clear)');
    // An interface that comes is a reason for a round, and none to bring the rules back.
    await site.world.exec(site.world.host, ['ip', 'link', 'add', 'br7', 'type', 'bridge']);
    await daemon.until('the bridge is seen', ({ unmanagedInterfaces }) => unmanagedInterfaces.names.includes('br7'));
    expect(await ruleset()).toEqual({ others: before.others, ours: false });
    replaceFile(site.policyFile, policy(81));
    await daemon.until('the new policy is in force', ({ inForce }) => inForce !== null);
    expect(await ruleset()).toEqual({ others: before.others, ours: true });
    expect(await openPorts([80, 81])).toEqual([81]);
  });

  test('are told of by status, where they can drop or redirect what the policy allows; and ours are not', async () => {
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    await site.world.nft(
      'add table ip strict\nadd chain ip strict in { type filter hook input priority 5; policy drop; }\nadd rule ip strict in accept',
    );
    try {
      const { otherChains } = await daemon.until('the new table is seen', (known) =>
        (known.otherChains ?? []).some(({ table }) => table === 'ip strict'),
      );
      expect(otherChains?.filter(({ table }) => table !== 'inet harness')).toEqual([
        { table: 'ip nat', chain: 'PREROUTING', type: 'nat', hook: 'prerouting', policy: 'accept', madeBy: ['Docker'] },
        { table: 'inet mine', chain: 'input', type: 'filter', hook: 'input', policy: 'accept', madeBy: [] },
        { table: 'ip6 x', chain: 'input', type: 'filter', hook: 'input', policy: 'accept', madeBy: [] },
        { table: 'ip strict', chain: 'in', type: 'filter', hook: 'input', policy: 'drop', madeBy: [] },
      ]);
      const { stdout } = await site.sgctl('status');
      expect(stdout).toContain('others       table inet mine, chain input (input) can drop what is allowed here\n');
      expect(stdout).toContain(
        'table ip strict, chain in (input) drops what it does not accept itself, whatever is allowed here',
      );
      expect(stdout).toContain('Docker: table ip nat, chain PREROUTING (prerouting) can redirect packets');
      expect(stdout).not.toContain('FORWARD');
      const { publishedPorts, missingFeatures } = await daemon.status();
      expect(publishedPorts).toEqual([{ table: 'ip nat', protocol: 'tcp', port: '8080', to: '172.17.0.2:80' }]);
      expect(stdout).toContain('published    tcp 8080 goes to 172.17.0.2:80 by table ip nat, past these rules');
      expect(missingFeatures).toEqual([]);
    } finally {
      await site.world.nft('delete table ip strict');
    }
  });

  test('published ports are read however their rules name them, and other rules are not taken for such', async () => {
    await site.reset();
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    expect((await daemon.status()).publishedPorts).toHaveLength(1);
    await site.world.nft(`
table inet more {
  set many {
    type inet_service
    elements = { 7001, 7002 }
  }
  chain sends {
    tcp dport 8000-8010 dnat ip to 192.0.2.1
    udp dport { 53, 5000-5002 } dnat ip to 192.0.2.1-192.0.2.9:5353
    tcp dport { 80, 443 } dnat ip6 to [2001:db8::1]:8080
    meta l4proto sctp sctp dport 36412 dnat ip6 to 2001:db8::2
    tcp sport 1024 tcp dport 9000 dnat ip to 192.0.2.2:90-95
    tcp dport @many dnat ip to 192.0.2.3
    ip protocol tcp th dport 9100 dnat ip to 192.0.2.4:9
    tcp dport != 9200 dnat ip to 192.0.2.5
    tcp dport 9300 accept
    tcp dport 9400 redirect to :94
    tcp sport 9500 dnat ip to 192.0.2.6
  }
  chain before {
    type nat hook prerouting priority -100
    jump sends
  }
}
table inet not-before {
  chain after {
    type nat hook postrouting priority 100
    tcp dport 9600 snat ip to 192.0.2.7
  }
}
`);
    try {
      const { publishedPorts } = await daemon.until('the new table is seen', ({ otherChains }) =>
        (otherChains ?? []).some(({ table, type }) => table === 'inet more' && type === 'nat'),
      );
      const rows = publishedPorts
        ?.filter(({ table }) => table !== 'ip nat')
        .map(({ table, ...row }) => [table, ...Object.values(row)]);
      expect(rows).toEqual([
        ['inet more', 'tcp', '8000-8010', '192.0.2.1'],
        ['inet more', 'udp', '{ 53, 5000-5002 }', '192.0.2.1-192.0.2.9:5353'],
        ['inet more', 'tcp', '{ 80, 443 }', '[2001:db8::1]:8080'],
        ['inet more', 'sctp', '36412', '2001:db8::2'],
        ['inet more', 'tcp', '9000', '192.0.2.2:90-95'],
        ['inet more', 'tcp', '@many', '192.0.2.3'],
        ['inet more', 'tcp', '9100', '192.0.2.4:9'],
      ]);
    } finally {
      await site.world.nft('delete table inet more\ndelete table inet not-before');
    }
    await daemon.until('nothing more is published', ({ publishedPorts }) => publishedPorts?.length === 1);
  });

  test('what another table of theirs drops stays dropped, and what they accept we still judge', async () => {
    await site.reset();
    replaceFile(site.policyFile, policy(9999));
    await site.start();
    expect(await openPorts([9999, 81])).toEqual([9999]);
    await site.world.nft('add element inet mine friends { 203.0.113.9 }');
    expect(await openPorts([9999, 81])).toEqual([]);
  });
});
