import { fragmentPacket, isFragment, reassemble } from './fragment.ts';
import { buildPacket, type PacketDescription } from './packet.ts';
import { ethernetFrame, PROBE_MAC, SENTINEL_MAC, sentinelPacket } from './probe-frames.ts';
import type { Node, World } from './world.ts';

/**
 * Packets between two sentinels. Each may put an answer (a reset, an ICMP error) on the same backlog, which holds
 * net.core.netdev_max_backlog packets, 1,000 by default.
 */
const BATCH = 400;
const TIMEOUT = 3_000;

/** What became of a batch. */
export interface Arrivals {
  /** Identities of the packets that came through; of one sent in fragments, all of it. */
  readonly arrived: Set<number>;
  /** Identities of the packets of which some fragments came through, but not all. */
  readonly partial: Set<number>;
  /** IP packets seen at the same place that are none of the batch: the host's own, or ours changed on the way. */
  readonly others: readonly Buffer[];
  /** Outbound only: identities of the packets whose sender was told so (EPERM) when a firewall dropped them. */
  readonly refused: Set<number>;
}

/** Sends packets to the host by this interface and returns the identities of those that its input hook let through. */
export async function sendInbound(
  world: World,
  name: string,
  packets: readonly PacketDescription[],
): Promise<Set<number>> {
  return (await observeInbound(world, name, packets)).arrived;
}

/** Sends packets from the host by this interface, all hooks passed, and returns the identities that reached the wire. */
export async function sendOutbound(
  world: World,
  name: string,
  packets: readonly PacketDescription[],
): Promise<Set<number>> {
  return (await observeOutbound(world, name, packets)).arrived;
}

/** Like `sendInbound`, with all that was seen. Throws if it cannot vouch for its answer. */
export async function observeInbound(
  world: World,
  name: string,
  packets: readonly PacketDescription[],
): Promise<Arrivals> {
  const link = world.link(name);
  return await exchange(packets, {
    name,
    sender: world.peer(name),
    observer: world.host,
    handle: world.input,
    encode: (batch) => ({
      packets: [],
      frames: batch.map((packet) => ethernetFrame(packet, PROBE_MAC, link.host.mac).toString('base64')),
    }),
    nextHop: link.host.mac,
  });
}

/** Like `sendOutbound`, with all that was seen. Throws if it cannot vouch for its answer. */
export async function observeOutbound(
  world: World,
  name: string,
  packets: readonly PacketDescription[],
): Promise<Arrivals> {
  const link = world.link(name);
  // A packet that waits for its neighbour to be resolved would be overtaken by the sentinel.
  if (world.neighbors !== 'static') throw new RangeError('outbound probes need a world with static neighbours');
  return await exchange(packets, {
    name,
    sender: world.host,
    observer: world.peer(name),
    handle: link.wire,
    encode: (batch) => ({ packets: batch.map((packet) => packet.toString('base64')), frames: [] }),
    nextHop: link.peer.mac,
  });
}

interface Path {
  readonly name: string;
  readonly sender: Node;
  readonly observer: Node;
  readonly handle: number;
  readonly encode: (batch: readonly Buffer[]) => { packets: readonly string[]; frames: readonly string[] };
  readonly nextHop: string;
}

/** A packet or fragment on its way, and whose it is. */
interface Shipment {
  readonly identity: number;
  readonly packet: Buffer;
}

async function exchange(descriptions: readonly PacketDescription[], path: Path): Promise<Arrivals> {
  const expected = new Map<string, number>();
  const shipments: Shipment[] = [];
  const identities = new Set<number>();
  for (const description of descriptions) {
    const { identity, fragments } = description;
    const whole = buildPacket(description);
    // A packet is known by all its bytes, as the kernel changes none; an ICMP error that quotes it is not taken for it.
    expected.set(whole.toString('base64'), identity);
    identities.add(identity);
    const pieces = fragments === undefined ? [whole] : fragmentPacket(whole, fragments.size);
    if (fragments?.order === 'reversed') pieces.reverse();
    shipments.push(...pieces.map((packet) => ({ identity, packet })));
  }
  if (identities.size < descriptions.length) throw new RangeError('two packets of a batch have one identity');

  const seen: string[] = [];
  const refused = new Set<number>();
  for (let from = 0; from < shipments.length; from += BATCH) {
    const batch = shipments.slice(from, from + BATCH);
    const outcome = await exchangeBatch(batch, path);
    seen.push(...outcome.seen);
    for (const identity of outcome.refused) refused.add(identity);
  }
  return { ...identify(seen, expected, shipments), refused };
}

let sentinels = 0;

async function exchangeBatch(
  batch: readonly Shipment[],
  { name, sender, observer, handle, encode, nextHop }: Path,
): Promise<{ seen: readonly string[]; refused: readonly number[] }> {
  sentinels += 1;
  const sentinel = sentinelPacket(sentinels);
  const { packets, frames } = encode(batch.map(({ packet }) => packet));
  await observer.agent.request('arm', { handle });
  const [collected, sent] = await Promise.all([
    observer.agent.request<Collected>('collect', { handle, sentinel: sentinel.toString('base64'), timeout: TIMEOUT }),
    sender.agent.request<Sent>('send', {
      interface: name,
      packets,
      frames: [...frames, ethernetFrame(sentinel, SENTINEL_MAC, nextHop).toString('base64')],
    }),
  ]);
  const impossible = sent.refused.find(([, reason]) => reason !== 'EPERM');
  if (impossible !== undefined) {
    throw new Error(`the kernel cannot send packet ${batch[impossible[0]]?.identity}: ${impossible[1]}`);
  }
  // INVARIANT: a packet that is not reported was dropped by a hook, not lost on the way to where it is observed.
  if (sent.dropped > 0) throw new Error(`${sent.dropped} packets found no room in the backlog of ${name}`);
  if (collected.lost > 0) throw new Error(`${collected.lost} packets found no room in the observer's buffer`);
  if (!collected.complete) {
    throw new Error(`no sentinel came by ${name}: the observer's table is gone, or a chain at ingress drops`);
  }
  const refused = sent.refused.map(([index]) => (batch[index] as Shipment).identity);
  return { seen: collected.packets, refused };
}

interface Collected {
  readonly packets: readonly string[];
  readonly complete: boolean;
  readonly lost: number;
}

interface Sent {
  readonly refused: readonly (readonly [index: number, reason: string])[];
  readonly dropped: number;
}

function identify(
  seen: readonly string[],
  expected: ReadonlyMap<string, number>,
  shipments: readonly Shipment[],
): Omit<Arrivals, 'refused'> {
  const arrived = new Set<number>();
  const others: Buffer[] = [];
  const fragments: Buffer[] = [];
  const take = (text: string): boolean => {
    const identity = expected.get(text);
    if (identity !== undefined) arrived.add(identity);
    return identity !== undefined;
  };
  for (const text of seen) {
    if (take(text)) continue;
    const packet = Buffer.from(text, 'base64');
    (isFragment(packet) ? fragments : others).push(packet);
  }
  const { whole, partial } = reassemble(fragments);
  others.push(...whole.filter((packet) => !take(packet.toString('base64'))));
  const owners = new Map(shipments.map(({ identity, packet }) => [packet.toString('base64'), identity]));
  const incomplete = new Set<number>();
  for (const fragment of partial) {
    const owner = owners.get(fragment.toString('base64'));
    if (owner === undefined) others.push(fragment);
    else incomplete.add(owner);
  }
  return { arrived, partial: incomplete, others };
}
