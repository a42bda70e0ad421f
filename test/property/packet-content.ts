import fc from 'fast-check';
import type { Family } from '#core/model/net/address.ts';
import type { Packet, PacketState } from '#core/model/packet/packet.ts';
import type { PortRange, Traffic } from '#core/model/policy/rule.ts';

/** What a packet carries, its addresses and its way apart. */
export type Content = Pick<
  Packet,
  'protocol' | 'sourcePort' | 'destinationPort' | 'icmpType' | 'icmpCode' | 'hopLimit'
>;

const EMPTY = {
  sourcePort: undefined,
  destinationPort: undefined,
  icmpType: undefined,
  icmpCode: undefined,
  hopLimit: undefined,
};

/** The only ICMP types that conntrack takes for a flow's answers, with the types that open such flows. */
const ICMP: Record<Family, { readonly protocol: number; readonly requests: number[]; readonly replies: number[] }> = {
  ipv4: { protocol: 1, requests: [8, 13, 15, 17], replies: [0, 14, 16, 18] },
  ipv6: { protocol: 58, requests: [128, 139], replies: [129, 140] },
};

/** What stands behind such a number in IPv6's chain of headers is the packet's protocol; AH and ESP hide theirs. */
const HEADERS: Record<Family, readonly number[]> = { ipv4: [50, 51], ipv6: [0, 43, 44, 50, 51, 60, 135, 139, 140] };

/** Contents of packets at the edges of `traffic`: within, just beside, and of the neighbouring protocol. */
export function contentNear(traffic: Traffic, family: Family, state: PacketState): fc.Arbitrary<Content> {
  const { protocol: icmp } = ICMP[family];
  if (traffic.kind === 'all') {
    return fc.oneof(
      { withCrossShrink: true },
      { weight: 4, arbitrary: withPorts([6, 17], []) },
      { weight: 2, arbitrary: withType([], family, state) },
      { weight: 2, arbitrary: bare([], family) },
    );
  }
  if (traffic.kind === 'ports') {
    const other = traffic.protocol === 6 ? 17 : 6;
    return withPorts([...Array.from({ length: 7 }, () => traffic.protocol), other], traffic.ports);
  }
  if (traffic.kind === 'icmp') return withType(traffic.protocol === icmp ? [traffic] : [], family, state);
  const { protocol } = traffic;
  if (protocol === 6 || protocol === 17) return withPorts([protocol, protocol, protocol, 23 - protocol], []);
  return protocol === icmp
    ? withType([], family, state)
    : bare([protocol - 1, protocol, protocol, protocol + 1], family);
}

function withPorts(protocols: readonly number[], ports: readonly PortRange[]): fc.Arbitrary<Content> {
  const edges = ports
    .flatMap(({ from, to }) => [from - 1, from, from, from, to, to, to, to + 1])
    .filter((port) => port <= 65535);
  const port = fc.oneof(
    { withCrossShrink: true },
    { weight: edges.length === 0 ? 0 : 8, arbitrary: fc.constantFrom(...(edges.length === 0 ? [0] : edges)) },
    { weight: 2, arbitrary: fc.constantFrom(22, 0, 1, 53, 80, 443, 65535) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 65535 }) },
  );
  return fc
    .record({ protocol: fc.constantFrom(...protocols), sourcePort: port, destinationPort: port })
    .map((content) => ({ ...EMPTY, ...content }));
}

/** Packets without ports and types. */
function bare(numbers: readonly number[], family: Family): fc.Arbitrary<Content> {
  const unfit = [6, 17, ICMP[family].protocol, ...HEADERS[family]];
  const common = [1, 46, 47, 48, 58, 132, 253, 255];
  const fit = (numbers.length === 0 ? common : [...numbers, 253]).filter(
    (number) => number >= 0 && number <= 255 && !unfit.includes(number),
  );
  return fc.constantFrom(...fit).map((protocol) => ({ ...EMPTY, protocol }));
}

interface Message {
  readonly type: number;
  readonly code: number;
}

function withType(
  named: readonly { readonly type: number; readonly code: number | 'any' }[],
  family: Family,
  state: PacketState,
): fc.Arbitrary<Content> {
  const { protocol, requests, replies } = ICMP[family];
  const edges = named.flatMap(({ type, code }): Message[] => {
    const codes = code === 'any' ? [0, 1, 255] : [code - 1, code, code, code + 1];
    return [type - 1, type, type, type, type + 1].flatMap((near) =>
      codes.map((nearCode) => ({ type: near, code: nearCode })),
    );
  });
  const common = [...requests, ...replies].map((type) => ({ type, code: 0 }));
  const fit = [...(edges.length === 0 ? common : edges), ...common.slice(0, 1)].filter(
    ({ type, code }) => type >= 0 && type <= 255 && code >= 0 && code <= 255,
  );
  return messageOf(state, { edges: fit, requests, replies }).map(({ type, code }) => ({
    ...EMPTY,
    protocol,
    icmpType: type,
    icmpCode: code,
  }));
}

function messageOf(
  state: PacketState,
  { edges, requests, replies }: { readonly edges: Message[]; readonly requests: number[]; readonly replies: number[] },
): fc.Arbitrary<Message> {
  const byte = fc.integer({ min: 0, max: 255 });
  switch (state) {
    case 'established':
      return fc.constantFrom(...requests).map((type) => ({ type, code: 0 }));
    case 'reply':
      return fc.constantFrom(...replies).map((type) => ({ type, code: 0 }));
    case 'related':
      return fc.record({ type: fc.oneof(byte, fc.integer({ min: 0, max: 13 })), code: byte });
    case 'new':
    case 'invalid':
      return fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...edges) },
        { weight: 1, arbitrary: fc.record({ type: byte, code: byte }) },
      );
  }
}
