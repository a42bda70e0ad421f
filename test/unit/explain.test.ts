import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { streamsOnto } from '#cli/framework/streams.ts';
import { runSgctl } from '#cli/run-sgctl.ts';

const POLICY = `version: 1
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: 22, source: 192.0.2.0/24 }
      - { protocol: icmp, source: any }
      - { protocol: 50, source: any }
instances:
  host:
    interfaces:
      eth0: { addresses: [198.51.100.1, "2001:db8::1"], securityGroups: [web] }
      eth1: { addresses: [198.51.100.2], securityGroups: [web], invalid: match }
`;

let directory: string;
let policyFile: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'explain-'));
  policyFile = join(directory, 'policy.yaml');
  await writeFile(policyFile, POLICY);
});

afterAll(() => rm(directory, { recursive: true }));

async function explain(
  words: string,
): Promise<{ readonly status: number; readonly out: string; readonly err: string }> {
  const said = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({ write: (text: string) => (said[name] += text), isTTY: false });
  const args = ['explain', '--policy', policyFile, '--instance', 'host', ...words.split(' ')];
  const status = await runSgctl(args, streamsOnto({ out: output('out'), err: output('err') }, false));
  return { status, ...said };
}

const IPV4 = '--direction inbound --src 192.0.2.7 --dst 198.51.100.1';
const IPV6 = '--direction inbound --src 2001:db8::7 --dst 2001:db8::1';

describe('the words of explain', () => {
  test('name protocols and the group', async () => {
    const { out } = await explain(`${IPV4} --protocol tcp --dport 22`);
    expect(out.split('\n').slice(0, 2)).toEqual([
      'allow  new tcp connection from 192.0.2.7 port 50000 to 198.51.100.1 port 22, inbound on eth0',
      'because    rule of group web',
    ]);
    expect((await explain(`${IPV4} --protocol tcp --dport 23`)).out).toContain('because    no rule matches');
  });

  test.each([
    [`${IPV4} --protocol udp --dport 53`, 'deny  new udp from'],
    [`${IPV4} --protocol icmp --icmp-type 8`, 'allow  new icmp echo-request from'],
    [
      `${IPV4} --protocol icmp --icmp-type 3 --icmp-code 4 --state related`,
      'allow  related icmp destination-unreachable code 4 from',
    ],
    [`${IPV6} --protocol icmp --icmp-type packet-too-big --state related`, 'allow  related icmpv6 packet-too-big from'],
    [`${IPV4} --protocol 50`, 'allow  new protocol 50 from'],
  ])('%s: %s', async (words, first) => {
    expect((await explain(words)).out.startsWith(first)).toBe(true);
  });

  test.each([
    [IPV4, '--protocol is missing: tcp, udp, icmp, gre or a number'],
    [`${IPV4} --protocol tcp`, '--dport is missing'],
    [`${IPV4} --protocol icmp`, '--icmp-type is missing'],
    [`${IPV4} --protocol icmp --icmp-type nonsense`, '--icmp-type "nonsense" is not known in ICMP'],
    [`${IPV4} --protocol icmp --icmp-type 8 --icmp-code 256`, '--icmp-code is a number from 0 to 255, not "256"'],
    [`${IPV4} --protocol gre --dport 1`, '--dport does not go with protocol gre'],
    ['--direction inbound --protocol tcp --src 192.0.2.7', '--dst is missing: an address'],
    ['--direction inbound --protocol tcp --src 192.0.2.7 --dst ::1', '--src and --dst are of different families'],
    ['--protocol tcp', '--direction is missing: inbound or outbound'],
    ['--direction in --protocol tcp', '--direction is inbound or outbound, not "in"'],
  ])('of a question that lacks something name the option: %s', async (words, message) => {
    expect(await explain(words)).toMatchObject({ status: 2, out: '', err: expect.stringContaining(`: ${message}\n`) });
  });

  test('of a question in JSON name the key', async () => {
    const batch = join(directory, 'batch');
    const asked = { direction: 'inbound', protocol: 'icmp', src: '192.0.2.7', dst: '198.51.100.1' };
    await writeFile(batch, `${JSON.stringify(asked)}\n${JSON.stringify({ ...asked, icmpType: '0' })}\n`);
    const { status, out } = await explain(`--batch ${batch}`);
    expect(status).toBe(2);
    const answers = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(answers).toMatchObject([{ error: 'icmpType is missing' }, { verdict: 'deny', state: 'invalid' }]);
  });
});

describe('without a state, a packet is what conntrack makes of one of no flow', () => {
  test.each([
    [IPV4, '8', 'allow', 'rule', 'new'],
    [IPV4, '13', 'allow', 'rule', 'new'],
    [IPV4, '0', 'deny', 'state', 'invalid'],
    [IPV4, '3', 'deny', 'state', 'invalid'],
    [IPV4, '5', 'deny', 'state', 'invalid'],
    [IPV4, '200', 'deny', 'state', 'invalid'],
    [IPV4.replace(/1$/, '2'), '0', 'allow', 'rule', 'invalid'],
    [IPV6, '128', 'allow', 'rule', 'new'],
    [IPV6, '129', 'deny', 'state', 'invalid'],
    [IPV6, '2', 'deny', 'state', 'invalid'],
    [IPV6, '135', 'allow', 'platform', 'new'],
  ])('%s, type %s: %s by %s, %s', async (ends, type, verdict, reason, state) => {
    const { out } = await explain(`${ends} --protocol icmp --icmp-type ${type} --json`);
    expect(JSON.parse(out)).toMatchObject({ verdict, reason, state });
  });

  test('and says why, and how to ask for one of a flow', async () => {
    expect((await explain(`${IPV4} --protocol icmp --icmp-type echo-reply`)).out).toBe(
      [
        'deny  invalid icmp echo-reply from 192.0.2.7 to 198.51.100.1, inbound on eth0',
        'because    conntrack calls it invalid where it belongs to no flow; ask with --state reply or related for one that does',
        '',
      ].join('\n'),
    );
    const reply = await explain(`${IPV4} --protocol icmp --icmp-type echo-reply --state reply --expect allow`);
    expect(reply.status).toBe(0);
  });
});
