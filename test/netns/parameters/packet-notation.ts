import { buildPacket, type PacketDescription, TCP_FLAGS } from '../harness/packet.ts';
import type { World } from '../harness/world.ts';

/**
 * Packets as tables write them, in this order of words:
 *
 *     [inbound|outbound] TRAFFIC [with REMOTE] [at LOCAL] [on INTERFACE] [hop N] [flags none|syn-ack]
 *
 * TRAFFIC is `tcp 22`, `tcp 1000>22` (source port first), `udp 53`, `icmp 8`, `icmp 3/4` (with code), `icmpv6 128`,
 * `mld 143` (with its router alert), `gre`, `protocol 46`, or `all`: one packet of each kind that has rules of its own.
 * What is left out stands for both: directions, and families, with a stranger at the other end of each.
 */
const NOTATION = new RegExp(
  '^(?:(?<direction>inbound|outbound) )?(?<traffic>[a-z]+[0-9]?(?: [0-9>/]+)?)(?: with (?<remote>[0-9a-f.:]+))?' +
    '(?: at (?<local>[0-9a-f.:]+))?(?: on (?<name>\\S+))?(?: hop (?<hop>\\d+))?(?: flags (?<flags>none|syn-ack))?$',
);

const TRAFFIC = /^(?<kind>[a-z]+6?)(?: (?:(?<first>\d+)>)?(?<number>\d+)(?:\/(?<code>\d+))?)?$/;

const STRANGERS = ['203.0.113.9', '2001:db8:9::9'];
const ALL = ['tcp 4444', 'udp 4444', 'icmp 8', 'icmpv6 128', 'gre', 'protocol 253'];
const ONE_FAMILY: Readonly<Record<string, 'ipv4' | 'ipv6'>> = { icmp: 'ipv4', icmpv6: 'ipv6', mld: 'ipv6' };
const FLAGS: Readonly<Record<string, number>> = { none: 0, 'syn-ack': TCP_FLAGS.syn | TCP_FLAGS.ack };

/** One packet on its way, and how it is written in full. */
export interface WrittenPacket {
  readonly text: string;
  readonly direction: 'inbound' | 'outbound';
  readonly interface: string;
  readonly description: PacketDescription;
}

/** The packets that `notation` stands for in `world`, with identities from `identity` on. Throws for what is no notation. */
export function readPackets(notation: string, world: World, identity: number): WrittenPacket[] {
  const words = NOTATION.exec(notation)?.groups ?? {};
  const { direction, traffic = '', remote, local, name = 'eth0', hop, flags } = words;
  const packets: WrittenPacket[] = [];
  for (const kind of traffic === 'all' ? ALL : [traffic]) {
    const content = readTraffic(kind, notation);
    for (const other of remote === undefined ? STRANGERS : [remote]) {
      const family = other.includes(':') ? 'ipv6' : 'ipv4';
      if ((ONE_FAMILY[kind.split(' ')[0] ?? ''] ?? family) !== family) continue;
      const own = local ?? world.link(name).host[family];
      for (const way of direction === undefined ? (['inbound', 'outbound'] as const) : [direction]) {
        const number = identity + packets.length;
        packets.push({
          text: [way, kind, 'with', other, 'at', own, 'on', name, hop && `hop ${hop}`, flags && `flags ${flags}`]
            .filter((word) => word !== undefined)
            .join(' '),
          direction: way as WrittenPacket['direction'],
          interface: name,
          description: content({
            ...(way === 'inbound' ? { source: other, destination: own } : { source: own, destination: other }),
            identity: number,
            // Each packet begins a flow of its own.
            sourcePort: 40_000 + number,
            ...(hop !== undefined && { hopLimit: Number(hop) }),
            ...(flags !== undefined && { tcpFlags: FLAGS[flags] }),
          }),
        });
      }
    }
  }
  if (packets.length === 0) throw new Error(`\`${notation}\` means no packet`);
  return packets;
}

type Ends = Omit<PacketDescription, 'protocol'>;

function readTraffic(traffic: string, notation: string): (ends: Ends) => PacketDescription {
  const { kind, first, number, code } = TRAFFIC.exec(traffic)?.groups ?? {};
  const sourcePort = first === undefined ? {} : { sourcePort: Number(first) };
  const icmp = { icmpType: Number(number), icmpCode: Number(code ?? 0) };
  switch (kind) {
    case 'tcp':
      return (ends) => ({ ...ends, ...sourcePort, protocol: 6, destinationPort: Number(number) });
    case 'udp':
      return (ends) => ({ ...ends, ...sourcePort, protocol: 17, destinationPort: Number(number) });
    case 'icmp':
      return (ends) => ({ ...ends, ...icmp, protocol: 1 });
    case 'icmpv6':
      return (ends) => ({ ...ends, ...icmp, protocol: 58 });
    case 'mld':
      return (ends) => multicastListener({ ...ends, ...icmp });
    case 'gre':
      return (ends) => ({ ...ends, protocol: 47 });
    case 'protocol':
      return (ends) => ({ ...ends, protocol: Number(number) });
    default:
      throw new Error(`\`${notation}\` is no notation of packets`);
  }
}

/** Next header 58, length 0, then the router alert option (RFC 2711) for MLD and two bytes of padding. */
const HOP_BY_HOP = [58, 0, 5, 2, 0, 0, 1, 0];

// RFC 3810 section 5: MLD messages come behind a hop-by-hop header, whose first four bytes stand for the identity here.
function multicastListener(message: Ends): PacketDescription {
  const icmpv6 = buildPacket({ ...message, protocol: 58, identity: 0 }).subarray(40);
  return {
    ...message,
    protocol: 0,
    identity: Buffer.from(HOP_BY_HOP).readUInt32BE(0),
    hopLimit: message.hopLimit ?? 1,
    payload: Buffer.concat([Buffer.from(HOP_BY_HOP.slice(4)), icmpv6]),
  };
}
