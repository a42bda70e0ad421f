import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { leftOutOf, starterPolicy } from '#cli/starter/starter-policy.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import type { HostInterface, HostState } from '#core/model/policy/host.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import type { HeardProtocol } from '#host/heard-protocols.ts';
import type { ListeningSocket } from '#host/listening-sockets.ts';
import { policyOf } from '../netns/enforce.ts';
import { readAddress } from '../oracle/read-literals.ts';

const HOST: HostState = {
  hostname: 'web-1.example.com',
  machineId: '',
  interfaces: [
    { index: 1, name: 'lo', addresses: [readAddress('127.0.0.1')] },
    { index: 2, name: 'eth0', addresses: [readAddress('192.0.2.11'), readAddress('fe80::1')] },
    { index: 3, name: 'docker0', addresses: [readAddress('172.17.0.1')] },
  ],
};

function socket(protocol: 'tcp' | 'udp', port: number, address?: string, program?: string): ListeningSocket {
  return { protocol, port, address: address === undefined ? undefined : readAddress(address), program };
}

function heard(protocol: number, family: 'ipv4' | 'ipv6', program?: string, address?: string): HeardProtocol {
  return { protocol, family, program, address: address === undefined ? undefined : readAddress(address) };
}

const SOCKETS = [
  socket('tcp', 22, undefined, 'sshd'),
  socket('tcp', 443, undefined, 'nginx'),
  socket('tcp', 80, undefined, 'nginx'),
  socket('tcp', 80, '2001:db8::11', 'nginx'),
  socket('tcp', 5432, '192.0.2.11', 'postgres'),
  socket('tcp', 6379, '127.0.0.1', 'redis'),
  socket('tcp', 6379, '::1', 'redis'),
  socket('udp', 53, undefined, 'named'),
  socket('udp', 68, undefined, 'dhclient'),
  socket('udp', 45_123, undefined, 'named'),
];

/** Whether the policy lets a new packet from anywhere in by eth0. */
async function lets(text: string, host: HostState, protocol: number, port: number, source = '198.51.100.7') {
  const located = locateHost(await policyOf(text), host, undefined);
  if (located.kind !== 'found') throw new Error(located.message);
  const hasPorts = protocol === 6 || protocol === 17;
  const isIcmp = protocol === 1 || protocol === 58;
  const packet = {
    interface: 'eth0',
    direction: 'inbound',
    state: 'new',
    source: readAddress(source),
    destination: readAddress(source.includes(':') ? '2001:db8::11' : '192.0.2.11'),
    protocol,
    sourcePort: hasPorts ? 50_000 : undefined,
    destinationPort: hasPorts ? port : undefined,
    icmpType: isIcmp ? port : undefined,
    icmpCode: isIcmp ? 0 : undefined,
    hopLimit: undefined,
  } as const;
  return evaluate(located.hostPolicy, packet).verdict === 'allow';
}

describe('the starter policy', () => {
  test('lets in what listens for others, and nothing that listens on loopback, asks for a lease, or has a port by chance', async () => {
    const text = starterPolicy({ host: HOST, sockets: SOCKETS, session: undefined });
    const open = async (protocol: number, ports: readonly number[]): Promise<readonly boolean[]> =>
      Promise.all(ports.map((port) => lets(text, HOST, protocol, port)));
    expect(await open(6, [22, 80, 443, 5432])).toEqual([true, true, true, true]);
    expect(await open(6, [23, 6379, 8080])).toEqual([false, false, false]);
    expect(await open(17, [53, 68, 45_123, 80])).toEqual([true, false, false, false]);
    expect(text).toContain('{ protocol: tcp, ports: "80,443", source: any, description: "nginx" }');
    expect(text).toContain('# A database: name those who need it');
    expect(text).toContain('"eth0": { securityGroups: [host] } # 192.0.2.11\n');
    expect(text).toContain('# Left to those who made them, and unfiltered by this policy: docker0\n');
    expect(text).not.toContain('"docker0"');
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=policy.schema.json');
    const schema = '/usr/share/secgroupd/policy.schema.json';
    const installed = starterPolicy({ host: HOST, sockets: SOCKETS, session: undefined, schema });
    expect(installed.split('\n')[0]).toBe(`# yaml-language-server: $schema=${schema}`);
  });

  describe('of ssh', () => {
    test.each<[string, readonly ListeningSocket[], readonly number[]]>([
      ['the ports of sshd alone, where they can be told', [socket('tcp', 2_222, undefined, 'sshd')], [2_222]],
      ['all of them', [socket('tcp', 22, undefined, 'sshd'), socket('tcp', 2_222, undefined, 'sshd')], [22, 2_222]],
      ['and 22, where nothing listens', [], [22]],
      ['and 22, where programs cannot be told', [socket('tcp', 2_222)], [22, 2_222]],
      ['and 22, where systemd listens for sshd', [socket('tcp', 2_222, undefined, 'systemd')], [22, 2_222]],
      ['and 22, where sshd has but what it forwards', [socket('tcp', 6_010, '127.0.0.1', 'sshd')], [22]],
      ['and 22, where only UDP is of that name', [socket('udp', 2_222, undefined, 'sshd')], [22]],
    ])('%s', async (_, sockets, expected) => {
      const text = starterPolicy({ host: HOST, sockets, session: undefined });
      const ports = [22, 2_222, 6_010];
      const open = await Promise.all(ports.map((port) => lets(text, HOST, 6, port)));
      expect(ports.filter((_port, i) => open[i])).toEqual(expected);
    });
  });

  describe('of UDP in the range that clients get ports from', () => {
    const of = (more: Partial<ListeningSocket>): ListeningSocket => ({
      ...socket('udp', 40_000, undefined, 'p'),
      process: 7,
      ...more,
    });
    const other = of({ port: 53 });

    test.each<[string, readonly ListeningSocket[], boolean]>([
      ['the only socket of its program', [of({})], true],
      ['the only ones of its program, each of another process', [of({}), of({ port: 53, process: 8 })], true],
      ['a socket of the kernel, such as WireGuard', [of({ program: undefined, process: undefined }), other], true],
      ['a port that TCP listens on too', [of({}), of({ protocol: 'tcp' }), other], true],
      ['a port of both families', [of({}), of({}), other], true],
      [
        'a port of an address of each family',
        [of({ address: readAddress('192.0.2.11') }), of({ address: readAddress('2001:db8::11') }), other],
        true,
      ],
      ['a second port of a program that serves on another', [of({}), other], false],
      ['a second port of a program that listens by TCP', [of({}), of({ protocol: 'tcp', port: 80 })], false],
    ])('%s', async (_, sockets, expected) => {
      const surroundings = { host: HOST, sockets, session: undefined };
      const text = starterPolicy(surroundings);
      expect(await lets(text, HOST, 17, 40_000)).toBe(expected);
      expect(await lets(text, HOST, 17, 40_001)).toBe(false);
      const rule = '{ protocol: udp, ports: 40000, source: any, description: "p" }';
      expect(text.includes(`# Left out: udp 40000 (p): looks like the port of a client`)).toBe(!expected);
      expect(leftOutOf(surroundings)).toEqual(
        expected ? [] : [{ what: 'udp 40000 (p)', why: expect.stringContaining('client'), rule }],
      );
      if (expected) return;
      // The line that it names does what it says.
      expect(text).toContain(`      # - ${rule}\n`);
      expect(await lets(text.replace('      # - { protocol: udp', '      - { protocol: udp'), HOST, 17, 40_000)).toBe(
        true,
      );
    });

    test('which is the host’s own', async () => {
      const text = (from: number, to: number): string =>
        starterPolicy({ host: HOST, sockets: [of({}), other], clientPorts: { from, to }, session: undefined });
      expect(await lets(text(32_768, 39_999), HOST, 17, 40_000)).toBe(true);
      expect(await lets(text(40_000, 40_000), HOST, 17, 40_000)).toBe(false);
      expect(await lets(text(40_001, 60_999), HOST, 17, 40_000)).toBe(true);
    });
  });

  describe('of other protocols', () => {
    const V6 = '2001:db8::7';
    const textOf = (...protocols: readonly HeardProtocol[]): string =>
      starterPolicy({ host: HOST, sockets: [], heard: protocols, session: undefined });

    test('lets in what raw sockets hear, in the family they hear it, and no other', async () => {
      const text = textOf(
        heard(112, 'ipv4', 'keepalived'),
        heard(89, 'ipv4', 'ospfd'),
        heard(89, 'ipv6', 'ospf6d'),
        heard(103, 'ipv4', 'pimd', '127.0.0.1'),
        heard(132, 'ipv4'),
        heard(132, 'ipv6'),
      );
      const open = async (source: string): Promise<readonly boolean[]> =>
        Promise.all([112, 89, 103, 132, 50, 47, 136, 2].map((protocol) => lets(text, HOST, protocol, 0, source)));
      expect(await open('198.51.100.7')).toEqual([true, true, false, true, false, false, false, false]);
      expect(await open(V6)).toEqual([false, true, false, true, false, false, false, false]);
      expect(text).toContain('{ type: ipv4, protocol: 112, source: any, description: "VRRP, keepalived" }');
      expect(text).toContain('{ protocol: 89, source: any, description: "OSPF, ospf6d, ospfd" }');
    });

    test('lets in ESP where keys are exchanged, for which the kernel needs no socket', async () => {
      const sockets = [socket('udp', 500, undefined, 'charon'), socket('udp', 4_500, undefined, 'charon')];
      const text = starterPolicy({ host: HOST, sockets, session: undefined });
      expect([await lets(text, HOST, 50, 0), await lets(text, HOST, 50, 0, V6)]).toEqual([true, true]);
      expect(await lets(starterPolicy({ host: HOST, sockets: [], session: undefined }), HOST, 50, 0)).toBe(false);
    });

    test('lets in router solicitations for who advertises routers, and not for who hears of them', async () => {
      const advertises = textOf(heard(58, 'ipv6', 'radvd'));
      const hears = textOf(heard(58, 'ipv6', 'systemd-network'));
      expect([await lets(advertises, HOST, 58, 133, V6), await lets(hears, HOST, 58, 133, V6)]).toEqual([true, false]);
      expect(await lets(advertises, HOST, 58, 139, V6)).toBe(false);
      expect(hears).not.toContain('Left out');
    });

    test('opens nothing for who looks at TCP, UDP or ICMP, and names it', async () => {
      const surroundings = {
        host: HOST,
        sockets: [],
        heard: [heard(6, 'ipv4', 'sniffer'), heard(1, 'ipv4', 'pinger')],
        session: undefined,
      };
      const text = starterPolicy(surroundings);
      expect([await lets(text, HOST, 6, 80), await lets(text, HOST, 1, 13)]).toEqual([false, false]);
      expect(leftOutOf(surroundings).map(({ what }) => what)).toEqual([
        'raw socket for ICMP, pinger',
        'raw socket for TCP, sniffer',
      ]);
      expect(text).toContain('# Left out: raw socket for TCP, sniffer: hears what the rules let in\n');
    });
  });

  describe('of interfaces', () => {
    const link = (index: number, name: string, more: Partial<HostInterface> = {}): HostInterface => ({
      index,
      name,
      addresses: [],
      ...more,
    });

    test.each<[string, readonly HostInterface[], readonly string[], string]>([
      [
        'a bridge is filtered and its ports are not, whatever it is called',
        [
          link(2, 'eth0', { master: 4 }),
          link(3, 'vnet0', { kind: 'tun', master: 4 }),
          link(4, 'br-lan', { kind: 'bridge' }),
        ],
        ['br-lan'],
        'What comes by eth0, vnet0 is judged by the name br-lan.',
      ],
      [
        'a bridge of containers is left to who made it',
        [link(2, 'eth0'), link(3, 'docker0', { kind: 'bridge' }), link(4, 'veth1', { kind: 'veth', master: 3 })],
        ['eth0'],
        'What comes by veth1 is judged by the name docker0.; Left to those who made them, and unfiltered by this policy: docker0',
      ],
      [
        'in a container the way out is a veth',
        [link(2, 'eth0', { kind: 'veth', master: 3 }), link(3, 'br-1', { kind: 'bridge' })],
        ['br-1'],
        'What comes by eth0 is judged by the name br-1.',
      ],
      ['a bridge without ports is filtered', [link(2, 'br0', { kind: 'bridge' })], ['br0'], ''],
      [
        'a bond is filtered and its members are not; on a bridge, the bridge is',
        [
          link(2, 'eth0', { master: 4 }),
          link(3, 'eth1', { master: 4 }),
          link(4, 'bond0', { kind: 'bond', master: 6 }),
          link(5, 'bond1', { kind: 'bond' }),
          link(6, 'br-x', { kind: 'bridge' }),
        ],
        ['bond1', 'br-x'],
        'What comes by eth0, eth1 is judged by the name bond0.; What comes by bond0 is judged by the name br-x.',
      ],
      [
        'members of a VRF are filtered by their own names',
        [link(2, 'eth0', { master: 3 }), link(3, 'blue', { kind: 'vrf' })],
        ['eth0'],
        'Left to those who made them, and unfiltered by this policy: blue',
      ],
      [
        'of Open vSwitch, the port of the host itself is filtered',
        [
          link(2, 'eth0', { master: 3 }),
          link(3, 'ovs-system', { kind: 'openvswitch' }),
          link(4, 'br-ex', { kind: 'openvswitch' }),
        ],
        ['ovs-system', 'br-ex'],
        'What comes by eth0 is judged by the name ovs-system.',
      ],
    ])('%s', (_, interfaces, own, said) => {
      const host = { ...HOST, interfaces: [link(1, 'lo'), ...interfaces] };
      const [, text = ''] = starterPolicy({ host, sockets: [], session: undefined }).split('instances:');
      const names = [...text.matchAll(/^ {6}"([^"]+)": \{ securityGroups/gm)].map(([, name]) => name);
      const comments = [...text.matchAll(/^ {6}# (.*)$/gm)].map(([, comment]) => comment);
      expect([names, comments.join('; ')]).toEqual([own, said]);
    });

    test('lets in what carries the tunnels, and not for what the modules make by themselves', async () => {
      const textOf = (...more: readonly HostInterface[]): string =>
        starterPolicy({
          host: { ...HOST, interfaces: [...HOST.interfaces, ...more] },
          sockets: [],
          session: undefined,
        });
      const text = textOf(link(4, 'tun4', { kind: 'gre' }), link(5, 'six', { kind: 'sit' }));
      const open = await Promise.all([47, 41, 4, 50].map((protocol) => lets(text, HOST, protocol, 0)));
      expect(open).toEqual([true, true, false, false]);
      expect(await lets(text, HOST, 47, 0, '2001:db8::7')).toBe(false);
      const fallback = textOf(link(4, 'gre0', { kind: 'gre' }), link(5, 'sit0', { kind: 'sit' }));
      expect([await lets(fallback, HOST, 47, 0), await lets(fallback, HOST, 41, 0)]).toEqual([false, false]);
    });
  });

  test('never cuts ssh: on its usual port, whether a server was seen or not, and from where somebody is logged in', async () => {
    const without = starterPolicy({ host: HOST, sockets: [], session: undefined });
    expect(await lets(without, HOST, 6, 22)).toBe(true);
    const session = { address: readAddress('203.0.113.7'), port: 2_222 };
    const text = starterPolicy({ host: HOST, sockets: [], session });
    expect(text).toContain('- { protocol: tcp, ports: 2222, source: "203.0.113.7" }');
    expect(await lets(text, HOST, 6, 2_222, '203.0.113.7')).toBe(true);
    expect(await lets(text, HOST, 6, 2_222, '203.0.113.8')).toBe(false);
  });

  test('is valid, and this host’s, whatever the host, its interfaces and its programs are called', async () => {
    const name = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' });
    // What Linux lets an interface be called (dev_valid_name).
    const link = fc
      .stringMatching(/^[^\s/:*\0\u0085\u00a0]{1,15}$/)
      .filter((one) => one !== '.' && one !== '..' && Buffer.byteLength(one) < 16);
    await fc.assert(
      fc.asyncProperty(name, fc.uniqueArray(link, { maxLength: 3 }), name, async (hostname, links, program) => {
        const interfaces = links.map((one, index) => ({ index, name: one, addresses: [] }));
        const host = { hostname, machineId: '', interfaces };
        const text = starterPolicy({ host, sockets: [socket('tcp', 80, undefined, program)], session: undefined });
        const located = locateHost(await policyOf(text), host, undefined);
        expect(located.kind).toBe('found');
      }),
    );
  });
});
