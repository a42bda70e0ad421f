import type { Site } from './site.ts';

/** What to send to which host, and what has to become of it. */
export interface SendSpec {
  /** The name under which the frames were prepared. */
  readonly frames: string;
  readonly column: string;
  readonly protocol: 'udp' | 'tcp';
  readonly milliseconds: number;
  readonly fate: 'let in' | 'dropped';
}

/** What the endpoint answers to `send`. */
interface Sent {
  readonly nanoseconds: number;
  readonly packets: number;
}

/** The endpoint's count of packets that reached each protocol, since the namespace was made. */
type Arrived = Readonly<Record<SendSpec['protocol'], number>>;

/** A socket takes some packets in before it is full, and only those that it refuses are counted. */
const HELD_BY_SOCKET = 16;

/**
 * Sends prepared frames to a host; the median nanoseconds of a packet. Throws where their fate is not the one expected:
 * the cost of a ruleset that does the wrong thing is of no interest.
 */
export async function send(site: Site, { frames, column, protocol, milliseconds, fate }: SendSpec): Promise<number> {
  const { endpoint, peerInterface } = site.host(column);
  const before = await endpoint.request<Arrived>('arrived');
  const { nanoseconds, packets } = await site.peer.request<Sent>('send', {
    name: frames,
    interface: peerInterface,
    milliseconds,
  });
  const after = await endpoint.request<Arrived>('arrived');
  const arrived = after[protocol] - before[protocol];
  if (fate === 'dropped' ? arrived > 0 : arrived < packets - HELD_BY_SOCKET || arrived > packets) {
    throw new Error(`${column}: ${packets} packets (${frames}) should be ${fate}, and ${arrived} were let in`);
  }
  return nanoseconds;
}
