import { describe, expect, it } from 'vitest';
import type { Packet } from '#core/model/packet/packet.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import { judge } from './oracle.ts';
import type { PlainPolicy, PlainRule } from './plain-policy.ts';
import { readPlainPolicy } from './read-plain-policy.ts';
import { answer, type Content, hostWith, icmp, icmpv6, incoming, outgoing, policyOf, tcp, udp } from './scene.ts';

const DEFAULT = 'deny default';
const PEER = '198.51.100.7';
const PEER6 = '2001:db8:9::7';
const ANY: PlainRule = { source: 'any' };

describe('who is filtered (section 1)', () => {
  const open = { inbound: [ANY], outbound: [{ destination: 'any' }] };
  const groups = { securityGroups: { open, shut: {} } };
  const allow = 'allow rule open inbound[0]';

  it.each([
    ['loopback', 'lo', {}, 'allow platform'],
    ['an unmanaged interface', 'eth9', {}, 'allow default'],
    ['an unmanaged interface, denied', 'eth9', { unmanagedInterfaces: 'deny' }, DEFAULT],
    ['loopback where unmanaged is denied', 'lo', { unmanagedInterfaces: 'deny' }, 'allow platform'],
    ['a named interface', 'eth0', {}, allow],
    ['a named interface without groups', 'eth1', {}, DEFAULT],
    ['a named interface without groups where unmanaged is allowed', 'eth1', { unmanagedInterfaces: 'allow' }, DEFAULT],
  ] as const)('%s', (_, name, settings, expected) => {
    const instances = hostWith({ eth0: { securityGroups: ['open'] }, eth1: { securityGroups: [] } });
    const policy = { version: 1, ...groups, ...settings, instances } as const;
    expect(answer(policy, incoming(PEER, tcp(22), { interface: name }))).toBe(expected);
  });

  it.each([
    ['the exact name beats globs', ['et*', 'eth0', '*'], 'eth0', 'eth0'],
    ['the longest glob beats the others', ['*', 'e*', 'eth*', 'et*'], 'eth0', 'eth*'],
    ['a bare glob catches the rest', ['eth*', '*'], 'wlan0', '*'],
    ['a glob matches its own beginning alone', ['eth*', '*'], 'eth', 'eth*'],
    ['an exact name is no beginning', ['eth', '*'], 'eth0', '*'],
  ])('%s', (_, patterns, name, chosen) => {
    const named = patterns.map((pattern) => [pattern, { securityGroups: [pattern === chosen ? 'open' : 'shut'] }]);
    const policy = { version: 1, ...groups, instances: hostWith(Object.fromEntries(named)) } as const;
    expect(answer(policy, incoming(PEER, tcp(22), { interface: name }))).toBe(allow);
    const reversed = { ...policy, instances: hostWith(Object.fromEntries(named.toReversed())) };
    expect(answer(reversed, incoming(PEER, tcp(22), { interface: name }))).toBe(allow);
  });

  it('judges each direction by its own rules', () => {
    const policy = policyOf({
      inbound: [{ ...ANY, protocol: 'tcp' }],
      outbound: [{ destination: 'any', protocol: 'udp' }],
    });
    expect(answer(policy, incoming(PEER, tcp(1)))).toBe('allow rule g inbound[0]');
    expect(answer(policy, outgoing(PEER, tcp(1)))).toBe(DEFAULT);
    expect(answer(policy, outgoing(PEER, udp(1)))).toBe('allow rule g outbound[0]');
    expect(answer(policy, incoming(PEER, udp(1)))).toBe(DEFAULT);
  });

  it('refuses an instance the policy does not have', () => {
    const policy = readPlainPolicy(policyOf({}));
    const host = { hostname: '', machineId: '', interfaces: [] };
    expect(() => judge(policy, host, 'other' as InstanceName, incoming(PEER, tcp(1)))).toThrow('no instance other');
  });
});

describe('which rule decides (section 2)', () => {
  const late = { ...ANY, priority: 2 };
  const deny = { ...ANY, action: 'deny' } as const;
  const lateDeny = { ...late, action: 'deny' } as const;

  it.each([
    ['no rule', [], [], { sequence: DEFAULT, merged: DEFAULT }],
    [
      'the lower priority number',
      [late, ANY],
      [],
      { sequence: 'allow rule a inbound[1]', merged: 'allow rule a inbound[1]' },
    ],
    [
      'deny of equal priority',
      [ANY, deny],
      [],
      { sequence: 'deny rule a inbound[1]', merged: 'deny rule a inbound[1]' },
    ],
    [
      'priority before deny',
      [ANY, lateDeny],
      [],
      { sequence: 'allow rule a inbound[0]', merged: 'allow rule a inbound[0]' },
    ],
    [
      '1 for no priority',
      [{ ...late }, ANY],
      [deny],
      { sequence: 'allow rule a inbound[1]', merged: 'deny rule b inbound[0]' },
    ],
    [
      'the earlier of two equal rules',
      [ANY, ANY],
      [ANY],
      { sequence: 'allow rule a inbound[0]', merged: 'allow rule a inbound[0]' },
    ],
    [
      'the first group, or its priority',
      [late],
      [deny],
      { sequence: 'allow rule a inbound[0]', merged: 'deny rule b inbound[0]' },
    ],
    [
      'the first group, or deny',
      [ANY],
      [deny],
      { sequence: 'allow rule a inbound[0]', merged: 'deny rule b inbound[0]' },
    ],
    [
      'the first group among equals',
      [late],
      [late],
      { sequence: 'allow rule a inbound[0]', merged: 'allow rule a inbound[0]' },
    ],
    [
      'numbers, not text',
      [
        { ...deny, priority: 10 },
        { ...ANY, priority: 9 },
      ],
      [],
      {
        sequence: 'allow rule a inbound[1]',
        merged: 'allow rule a inbound[1]',
      },
    ],
    [
      'a group behind one that is silent',
      [{ ...ANY, protocol: 'udp' }],
      [late],
      {
        sequence: 'allow rule b inbound[0]',
        merged: 'allow rule b inbound[0]',
      },
    ],
  ] as const)('%s', (_, a, b, expected) => {
    const securityGroups = { b: { inbound: b }, a: { inbound: a } };
    const policy: PlainPolicy = {
      version: 1,
      securityGroups,
      instances: hostWith({ eth0: { securityGroups: ['a', 'b'] } }),
    };
    const packet = incoming(PEER, tcp(22));
    expect(answer(policy, packet)).toBe(expected.sequence);
    expect(answer({ ...policy, evaluation: 'merged' }, packet)).toBe(expected.merged);
    const own = { host: { ...policy.instances?.['host'], evaluation: 'merged' as const } };
    expect(answer({ ...policy, evaluation: 'sequence', instances: own }, packet)).toBe(expected.merged);
  });

  it.each([
    ['ipv4', PEER, PEER6],
    ['ipv6', PEER6, PEER],
  ] as const)('a rule of %s never matches the other family', (type, own, other) => {
    const policy = policyOf({ inbound: [{ ...ANY, type }] });
    expect(answer(policy, incoming(own, tcp(22)))).toBe('allow rule g inbound[0]');
    expect(answer(policy, incoming(other, tcp(22)))).toBe(DEFAULT);
  });

  it('takes a disabled rule out', () => {
    const policy = policyOf({ inbound: [{ ...deny, enabled: false }, late] });
    expect(answer(policy, incoming(PEER, tcp(22)))).toBe('allow rule g inbound[1]');
    expect(answer(policyOf({ inbound: [deny, late] }), incoming(PEER, tcp(22)))).toBe('deny rule g inbound[0]');
  });
});

describe('which traffic a rule matches (section 3)', () => {
  const gre = { protocol: 47 };
  it.each<readonly [Omit<PlainRule, 'source'>, readonly Packet[], readonly Packet[]]>([
    [{}, [...v4(tcp(0)), ...v4(icmp(3)), ...v4(gre), ...v6({ protocol: 0 })], []],
    [{ protocol: 'all' }, [...v4(tcp(0)), ...v6(icmpv6(1)), ...v4({ protocol: 255 })], []],
    [{ protocol: 'tcp' }, [...v4(tcp(0)), ...v6(tcp(65535))], [...v4(udp(22)), ...v4(gre)]],
    [{ protocol: 6 }, v4(tcp(0)), v4(udp(0))],
    [{ protocol: 'udp' }, [...v4(udp(0)), ...v6(udp(1))], [...v4(tcp(53)), ...v4({ protocol: 136 })]],
    [{ protocol: 17, ports: 53 }, v4(udp(53)), [...v4(udp(52)), ...v4(udp(54)), ...v4(tcp(53))]],
    [{ protocol: 'tcp', ports: 22 }, v4(tcp(22)), [...v4(tcp(21)), ...v4(tcp(23)), ...v4(tcp(80, 22)), ...v4(udp(22))]],
    [{ protocol: 6, ports: '22' }, v6(tcp(22)), v6(tcp(220))],
    [
      { protocol: 'tcp', ports: '80-82' },
      [...v4(tcp(80)), ...v4(tcp(81)), ...v4(tcp(82))],
      [...v4(tcp(79)), ...v4(tcp(83))],
    ],
    [
      { protocol: 'tcp', ports: '22,80,8000-8999' },
      [...v4(tcp(22)), ...v4(tcp(80)), ...v4(tcp(8000)), ...v4(tcp(8999))],
      [...v4(tcp(23)), ...v4(tcp(79)), ...v4(tcp(7999)), ...v4(tcp(9000))],
    ],
    [
      { protocol: 'tcp', ports: [443, '1-3'] },
      [...v4(tcp(443)), ...v4(tcp(1)), ...v4(tcp(3))],
      [...v4(tcp(0)), ...v4(tcp(4))],
    ],
    [{ protocol: 'tcp', ports: '1-65535' }, [...v4(tcp(1)), ...v4(tcp(65535))], v4(tcp(0))],
    [
      { protocol: 'icmp' },
      [...v4(icmp(0)), ...v4(icmp(8, 3)), ...v6(icmpv6(128))],
      [...v4(icmpv6(8)), ...v6(icmp(8)), ...v4(tcp(8))],
    ],
    [
      { protocol: 'icmp', icmp: 0 },
      [...v4(icmp(0)), ...v4(icmp(0, 9)), ...v6(icmpv6(0))],
      [...v4(icmp(8)), ...v6(icmpv6(1))],
    ],
    [
      { protocol: 'icmp', icmp: 'echo-request' },
      [...v4(icmp(8)), ...v6(icmpv6(128))],
      [...v4(icmp(0)), ...v4(icmp(128)), ...v6(icmpv6(8))],
    ],
    [
      { protocol: 'icmp', icmp: { type: 3, code: 4 } },
      v4(icmp(3, 4)),
      [...v4(icmp(3, 3)), ...v4(icmp(4, 4)), ...v4(icmp(3, 0))],
    ],
    [{ protocol: 'icmp', icmp: { type: 8, code: 0 } }, v4(icmp(8, 0)), v4(icmp(8, 1))],
    [{ protocol: 1, type: 'ipv4', icmp: 8 }, v4(icmp(8)), [...v4(icmp(0)), ...v6(icmpv6(8))]],
    [{ protocol: 58, type: 'ipv6', icmp: 8 }, v6(icmpv6(8)), [...v6(icmpv6(9)), ...v4(icmp(8))]],
    [{ protocol: 1 }, [...v4(icmp(8)), ...v6({ protocol: 1 })], v6(icmpv6(128))],
    [{ protocol: 58 }, [...v6(icmpv6(128)), ...v4({ protocol: 58 })], v4(icmp(8))],
    [{ protocol: 'gre' }, [...v4(gre), ...v6(gre)], [...v4({ protocol: 46 }), ...v4({ protocol: 48 })]],
    [{ protocol: 47 }, v4(gre), v4({ protocol: 46 })],
    [{ protocol: 0 }, v4({ protocol: 0 }), [...v4({ protocol: 1 }), ...v4(tcp(0))]],
    [{ protocol: 255 }, v4({ protocol: 255 }), v4({ protocol: 254 })],
  ])('%j', (rule, matched, unmatched) => {
    const policy = policyOf({ inbound: [{ ...rule, source: 'any' }] });
    expect(matched.map((packet) => answer(policy, packet))).toEqual(matched.map(() => 'allow rule g inbound[0]'));
    expect(unmatched.map((packet) => answer(policy, packet))).toEqual(unmatched.map(() => DEFAULT));
  });

  it('looks at the destination port in both directions', () => {
    const policy = policyOf({ outbound: [{ destination: 'any', protocol: 'tcp', ports: 443 }] });
    expect(answer(policy, outgoing(PEER, tcp(443)))).toBe('allow rule g outbound[0]');
    expect(answer(policy, outgoing(PEER, tcp(40000, 443)))).toBe(DEFAULT);
  });

  function v4(content: Content): readonly Packet[] {
    return [incoming(PEER, content)];
  }
  function v6(content: Content): readonly Packet[] {
    return [incoming(PEER6, content)];
  }
});
