import { describe, expect, it } from 'vitest';
import type { Packet, PacketState } from '#core/model/packet/packet.ts';
import type { PlainPolicy, PlainRule } from './plain-policy.ts';
import { answer, type Content, hostWith, icmp, icmpv6, incoming, outgoing, policyOf, tcp, udp } from './scene.ts';

const DEFAULT = 'deny default';
const STATE = 'allow state';
const PEER = '198.51.100.7';
const PEER6 = '2001:db8:9::7';

describe('state (section 4)', () => {
  const ssh: PlainRule = { source: PEER, protocol: 'tcp', ports: 22 };
  const web: PlainRule = { destination: PEER, protocol: 'tcp', ports: 443 };
  const policy = policyOf({ inbound: [ssh], outbound: [web] });
  const denyAll = policyOf({
    inbound: [{ source: 'any', action: 'deny' }],
    outbound: [{ destination: 'any', action: 'deny' }],
  });

  it.each([
    ['a new inbound packet', 'new', incoming(PEER, tcp(22)), 'allow rule g inbound[0]', 'deny rule g inbound[0]'],
    ['a new outbound packet', 'new', outgoing(PEER, tcp(443)), 'allow rule g outbound[0]', 'deny rule g outbound[0]'],
    ['an answer to the host', 'reply', incoming(PEER, tcp(40000, 443)), STATE, STATE],
    ['an answer to a flow no rule would let the host open', 'reply', incoming('192.0.2.77', tcp(5, 6)), STATE, STATE],
    [
      'a later packet of the peer',
      'established',
      incoming(PEER, tcp(22)),
      'allow rule g inbound[0]',
      'deny rule g inbound[0]',
    ],
    [
      'a later packet of a peer whose rule is gone',
      'established',
      incoming(PEER, tcp(23)),
      DEFAULT,
      'deny rule g inbound[0]',
    ],
    ['a later packet of the host', 'established', outgoing(PEER, tcp(443)), STATE, STATE],
    ['a later packet of the host whose rule is gone', 'established', outgoing(PEER, tcp(80)), STATE, STATE],
    ['an error about a flow', 'related', incoming('203.0.113.1', icmp(3, 4)), STATE, STATE],
    ['an error about a flow on its way out', 'related', outgoing('203.0.113.1', icmp(3, 4)), STATE, STATE],
    ['an invalid packet the rules allow', 'invalid', incoming(PEER, tcp(22)), 'deny state', 'deny state'],
    ['an invalid packet out that the rules allow', 'invalid', outgoing(PEER, tcp(443)), 'deny state', 'deny state'],
  ] as const)('%s', (_, state, packet, expected, expectedDenyAll) => {
    expect(answer(policy, { ...packet, state })).toBe(expected);
    expect(answer(denyAll, { ...packet, state })).toBe(expectedDenyAll);
  });

  const ERRORS = [...[3, 11, 12].map((type) => icmp(type, 1)), ...[1, 2, 3, 4].map((type) => icmpv6(type, 1))];
  // Source quench and redirect, and what is no error at all; the errors of one family in the other.
  const OTHERS = [...[1, 2, 4, 5, 8, 13].map((type) => icmp(type)), ...[0, 5, 128, 138].map((type) => icmpv6(type))];
  const remoteOf = ({ protocol }: Content): string => (protocol === 58 ? PEER6 : PEER);

  it.each([incoming, outgoing])('of what is related only ICMP errors pass whatever the rules say', (way) => {
    const judged = (contents: readonly Content[], one: PlainPolicy): string[] =>
      contents.map((content) =>
        answer(one, way(remoteOf(content), content, { state: 'related' })).replace(/ g .*/, ''),
      );
    expect(judged(ERRORS, denyAll)).toEqual(ERRORS.map(() => STATE));
    expect(judged(OTHERS, denyAll)).toEqual(OTHERS.map(() => 'deny rule'));
    expect(judged(OTHERS, policyOf({}))).toEqual(OTHERS.map(() => DEFAULT));
    const allowed = policyOf({
      inbound: [{ source: 'any', protocol: 'icmp' }],
      outbound: [{ destination: 'any', protocol: 'icmp' }],
    });
    expect(judged(OTHERS, allowed)).toEqual(OTHERS.map(() => 'allow rule'));
    // No helper announces ICMP.
    expect(judged(OTHERS, { ...denyAll, platform: { helpers: true } })).toEqual(OTHERS.map(() => 'deny rule'));
  });

  it.each([incoming, outgoing])('a flow that a helper announced passes where helpers are trusted', (way) => {
    const packets = [tcp(20), udp(5060), { protocol: 47 }].map((content) => way(PEER, content, { state: 'related' }));
    const judged = (one: PlainPolicy): string[] => packets.map((packet) => answer(one, packet).replace(/ g .*/, ''));
    expect(judged(denyAll)).toEqual(packets.map(() => 'deny rule'));
    expect(judged({ ...denyAll, platform: { helpers: false } })).toEqual(packets.map(() => 'deny rule'));
    expect(judged({ ...denyAll, platform: { helpers: true } })).toEqual(packets.map(() => STATE));
  });

  it.each([
    ['drop', 'deny state', 'deny state'],
    ['match', 'allow rule g inbound[0]', DEFAULT],
  ] as const)('invalid: %s', (invalid, allowed, denied) => {
    const instances = hostWith({ eth0: { securityGroups: ['g'], invalid }, eth1: { securityGroups: ['g'] } });
    const judged = { ...policy, instances };
    expect(answer(judged, incoming(PEER, tcp(22), { state: 'invalid' }))).toBe(allowed);
    expect(answer(judged, incoming(PEER, tcp(23), { state: 'invalid' }))).toBe(denied);
    expect(answer(judged, incoming(PEER, tcp(22), { state: 'invalid', interface: 'eth1' }))).toBe('deny state');
  });

  it.each([
    ['reply', 'inbound', STATE],
    ['established', 'outbound', STATE],
    ['established', 'inbound', DEFAULT],
    ['reply', 'outbound', DEFAULT],
    ['related', 'inbound', DEFAULT],
    ['invalid', 'inbound', 'deny state'],
  ] as const)('%s %s where nothing is attached', (state, direction, expected) => {
    const unattached: PlainPolicy = {
      version: 1,
      unmanagedInterfaces: 'deny',
      instances: hostWith({ eth0: { securityGroups: [] } }),
    };
    for (const name of ['eth0', 'eth9']) {
      expect(answer(unattached, incoming(PEER, tcp(1), { state, direction, interface: name }))).toBe(expected);
    }
    expect(
      answer({ ...unattached, unmanagedInterfaces: 'allow' }, incoming(PEER, tcp(1), { state, interface: 'eth9' })),
    ).toBe('allow default');
  });
});

describe('answers of a flow that the peer opened (section 4)', () => {
  const answers = (content: Content, peer = PEER): Packet => outgoing(peer, content, { state: 'reply' });
  const inboundOf = (rule: Omit<PlainRule, 'source'>, source = 'any'): PlainPolicy =>
    policyOf({ inbound: [{ ...rule, source }] });

  it.each<readonly [string, PlainPolicy, Packet, Packet]>([
    ['by port', inboundOf({ protocol: 'tcp', ports: 22 }), answers(tcp(50000, 22)), answers(tcp(22, 50000))],
    ['by protocol', inboundOf({ protocol: 'udp' }), answers(udp(50000, 53)), answers(tcp(50000, 53))],
    ['by peer', inboundOf({}, PEER), answers(udp(1, 2)), answers(udp(1, 2), '198.51.100.8')],
    ['without ports', inboundOf({ protocol: 253 }), answers({ protocol: 253 }), answers({ protocol: 252 })],
    ['echo', inboundOf({ protocol: 'icmp', icmp: 8 }), answers(icmp(0)), answers(icmp(14))],
    [
      'echo with code 0',
      inboundOf({ protocol: 'icmp', icmp: { type: 8, code: 0 } }),
      answers(icmp(0)),
      answers(icmp(16)),
    ],
    ['not echo replies from the peer', inboundOf({ protocol: 'icmp', icmp: 13 }), answers(icmp(14)), answers(icmp(0))],
    ['information', inboundOf({ protocol: 'icmp', icmp: 15 }), answers(icmp(16)), answers(icmp(15))],
    ['address mask', inboundOf({ protocol: 'icmp', icmp: 17 }), answers(icmp(18)), answers(icmp(17))],
    ['only what answers', inboundOf({ protocol: 'icmp' }), answers(icmp(0)), answers(icmp(8))],
    [
      'only what answers in IPv6',
      inboundOf({ protocol: 'icmp' }),
      answers(icmpv6(129), PEER6),
      answers(icmpv6(128), PEER6),
    ],
    [
      'echo in IPv6',
      inboundOf({ protocol: 'icmp', icmp: 128 }),
      answers(icmpv6(129), PEER6),
      answers(icmpv6(140), PEER6),
    ],
    [
      'node information',
      inboundOf({ protocol: 'icmp', icmp: 139 }),
      answers(icmpv6(140), PEER6),
      answers(icmpv6(129), PEER6),
    ],
  ])('%s', (_, policy, allowed, denied) => {
    expect(answer(policy, allowed)).toBe(STATE);
    expect(answer(policy, denied)).toBe(DEFAULT);
  });

  it('are judged as what the host opens itself, once the inbound rules deny the flow', () => {
    const outbound: PlainRule[] = [{ destination: 'any', protocol: 'tcp', ports: '50000' }];
    const packet = answers(tcp(50000, 22));
    expect(answer(policyOf({ outbound }), packet)).toBe('allow rule g outbound[0]');
    expect(answer(policyOf({ outbound }), answers(tcp(50001, 22)))).toBe(DEFAULT);
    expect(answer(policyOf({ inbound: [{ source: 'any' }], outbound }), packet)).toBe(STATE);
    expect(answer(policyOf({ inbound: [{ source: 'any', action: 'deny' }], outbound }), packet)).toBe(
      'allow rule g outbound[0]',
    );
    const denied = policyOf({ outbound: [{ destination: 'any', action: 'deny' }] });
    expect(answer(denied, packet)).toBe('deny rule g outbound[0]');
  });

  it('follow management before the groups, either way', () => {
    const management: PlainRule[] = [
      { source: PEER, protocol: 'tcp', ports: 22 },
      { source: PEER, action: 'deny', priority: 2 },
      { destination: PEER, protocol: 'udp' },
    ];
    const open = { inbound: [{ source: 'any' }] };
    expect(answer(policyOf({}, { platform: { management } }), answers(tcp(50000, 22)))).toBe(STATE);
    expect(answer(policyOf(open, { platform: { management } }), answers(tcp(50000, 23)))).toBe(DEFAULT);
    expect(answer(policyOf(open, { platform: { management } }), answers(udp(50000, 23)))).toBe(
      'allow management management[2]',
    );
    expect(answer(policyOf(open, { platform: { management } }), answers(tcp(50000, 23), '203.0.113.9'))).toBe(STATE);
  });
});

describe('management (section 5)', () => {
  const management: PlainRule[] = [
    { source: '0.0.0.0/0', protocol: 'tcp', ports: 22, priority: 50 },
    { source: PEER, protocol: 'tcp', ports: 22, priority: 50, action: 'deny' },
    { source: '198.51.100.9', protocol: 'tcp', ports: 22, priority: 49 },
    { destination: 'any', protocol: 'udp', ports: 53 },
    { destination: 'any', protocol: 'udp', ports: 53 },
  ];
  const groups = {
    inbound: [{ source: 'any', action: 'deny' }],
    outbound: [
      { destination: PEER, action: 'deny' },
      { destination: 'any', priority: 2 },
    ],
  } as const;
  const policy = policyOf(groups, { platform: { management }, unmanagedInterfaces: 'deny' });

  it.each<readonly [string, Packet, string]>([
    ['comes before the groups', incoming('203.0.113.1', tcp(22)), 'allow management management[0]'],
    ['leaves the rest to the groups', incoming('203.0.113.1', tcp(23)), 'deny rule g inbound[0]'],
    ['denies before it allows', incoming(PEER, tcp(22)), 'deny management management[1]'],
    ['goes by priority first', incoming('198.51.100.9', tcp(22)), 'allow management management[2]'],
    ['takes the first of equals', outgoing(PEER, udp(53)), 'allow management management[3]'],
    ['has a direction', incoming(PEER, udp(53)), 'deny rule g inbound[0]'],
    ['leaves outbound to the groups', outgoing(PEER, tcp(22)), 'deny rule g outbound[0]'],
    ['has a family', incoming(PEER6, tcp(22)), 'deny rule g inbound[0]'],
    [
      'holds where nothing is attached',
      incoming('203.0.113.1', tcp(22), { interface: 'eth9' }),
      'allow management management[0]',
    ],
    ['denies nothing where it is silent', incoming('203.0.113.1', tcp(23), { interface: 'eth9' }), DEFAULT],
    ['judges live flows', incoming(PEER, tcp(22), { state: 'established' }), 'deny management management[1]'],
    ['does not judge invalid packets', incoming('203.0.113.1', tcp(22), { state: 'invalid' }), 'deny state'],
  ])('%s', (_, packet, expected) => {
    expect(answer(policy, packet)).toBe(expected);
  });

  it('leaves interfaces alone that are not managed', () => {
    const packet = incoming(PEER, tcp(22), { interface: 'eth9' });
    expect(answer({ ...policy, unmanagedInterfaces: 'allow' }, packet)).toBe('allow default');
  });

  it.each<readonly [PacketState, string]>([
    ['invalid', 'allow management management[0]'],
    ['established', 'allow management management[0]'],
  ])('judges %s packets like new ones where that is asked for', (state, expected) => {
    const instances = hostWith({ eth0: { securityGroups: ['g'], invalid: 'match' } });
    expect(answer({ ...policy, instances }, incoming('203.0.113.1', tcp(22), { state }))).toBe(expected);
  });
});
