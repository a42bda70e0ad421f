import fc from 'fast-check';
import type { Packet, PacketState } from '#core/model/packet/packet.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { readAddress } from '../oracle/read-literals.ts';

const STATES: readonly PacketState[] = ['new', 'new', 'established', 'reply', 'related', 'invalid'];
const IPV6_SOURCES = ['::', 'fe80::1', 'fe80::99', 'febf:ffff::1', 'fec0::1', '2001:db8:1::1', '2001:db8:1::5'];
const IPV6_DESTINATIONS = [
  'fe80::1',
  'fe80::99',
  'febf:ffff::1',
  'fec0::1',
  'ff02::1',
  'ff02::1:ff00:1',
  '2001:db8:1::5',
];
const IPV4 = ['10.1.0.1', '10.1.0.254', '192.0.2.1'];

/** Types 129 to 144: all that is built in, and what stands beside it. */
const icmpv6 = fc
  .record({
    source: fc.constantFrom(...IPV6_SOURCES),
    destination: fc.constantFrom(...IPV6_DESTINATIONS),
    icmpType: fc.integer({ min: 129, max: 144 }),
    icmpCode: fc.constantFrom(0, 0, 0, 1),
    hopLimit: fc.constantFrom(undefined, 255, 255, 254, 64, 1),
  })
  .map((content) => ({ ...content, protocol: 58, sourcePort: undefined, destinationPort: undefined }));

const igmp = fc
  .record({
    source: fc.constantFrom('0.0.0.0', ...IPV4),
    destination: fc.constantFrom('224.0.0.1', '224.0.0.22', '239.255.255.255', '223.255.255.255', ...IPV4),
    protocol: fc.constantFrom(2, 2, 2, 3),
    hopLimit: fc.constantFrom(undefined, 1, 1, 2, 64),
  })
  .map((content) => ({
    ...content,
    sourcePort: undefined,
    destinationPort: undefined,
    icmpType: undefined,
    icmpCode: undefined,
  }));

function dhcpOf(sources: readonly string[], destinations: readonly string[], ports: readonly number[]) {
  return fc
    .record({
      source: fc.constantFrom(...sources),
      destination: fc.constantFrom(...destinations),
      protocol: fc.constantFrom(17, 17, 17, 6),
      sourcePort: fc.constantFrom(...ports),
      destinationPort: fc.constantFrom(...ports),
    })
    .map((content) => ({ ...content, icmpType: undefined, icmpCode: undefined, hopLimit: undefined }));
}

/** Built-in traffic, and packets that differ from it in one respect or two. */
export const PLATFORM_PACKET: fc.Arbitrary<Packet> = fc
  .record({
    interface: fc.constantFrom('eth0', 'eth0', 'eth1', 'wlan0', 'lo'),
    direction: fc.constantFrom<Direction>('inbound', 'outbound'),
    state: fc.constantFrom(...STATES),
    content: fc.oneof(
      { weight: 4, arbitrary: icmpv6 },
      { weight: 1, arbitrary: dhcpOf(IPV4, [...IPV4, '255.255.255.255'], [67, 68]) },
      { weight: 1, arbitrary: igmp },
      // The ports of one family's DHCP mean nothing in the other.
      { weight: 1, arbitrary: dhcpOf(IPV4, IPV4, [546, 547]) },
      { weight: 1, arbitrary: dhcpOf(IPV6_SOURCES.slice(1), IPV6_DESTINATIONS, [546, 547, 49_417]) },
      { weight: 1, arbitrary: dhcpOf(IPV6_SOURCES.slice(1), IPV6_DESTINATIONS, [67, 68]) },
    ),
  })
  .map(({ content: { source, destination, ...content }, ...met }) => ({
    ...met,
    ...content,
    source: readAddress(source),
    destination: readAddress(destination),
  }));
