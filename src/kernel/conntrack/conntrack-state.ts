import { readFile } from 'node:fs/promises';
import { type FlowProtocol, TCP, UDP } from '#core/model/policy/protocols.ts';

/** Linux nf_conntrack_proto_tcp.c, nf_conntrack_proto_udp.c, nf_conntrack_core.c. */
const DEFAULT_TCP_SECONDS = 432_000;
const DEFAULT_UDP_SECONDS = 120;
const DEFAULT_MAX_FLOWS = 65_536;

/**
 * Whether conntrack tracks flows in this network namespace, which it does as soon as any table here matches on their
 * state. False if its module is not loaded; true if that is unknown.
 */
export async function isTracking(): Promise<boolean> {
  const count = await readCount();
  return count === 'unknown' || (count !== 'not-loaded' && count > 0);
}

/** Whether the conntrack module is loaded; true if that is unknown. */
export async function isConntrackLoaded(): Promise<boolean> {
  return (await readCount()) !== 'not-loaded';
}

async function readCount(): Promise<number | 'not-loaded' | 'unknown'> {
  try {
    return Number((await readFile(pathOf('count'), 'utf8')).trim());
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'not-loaded' : 'unknown';
  }
}

/** The room and the lifetimes that conntrack has. */
export interface FlowLimits {
  /** How long conntrack remembers idle flows, in seconds: TCP connections, and UDP in both directions. */
  readonly seconds: Readonly<Record<FlowProtocol, number>>;
  /** How many more flows it has room for. */
  readonly room: number;
}

/** Reads the limits of this network namespace; the kernel's default stands in for one that cannot be read. */
export async function readFlowLimits(): Promise<FlowLimits> {
  const number = async (name: string, byDefault: number): Promise<number> => {
    const value = Number.parseInt(await readFile(pathOf(name), 'utf8').catch(() => ''), 10);
    return Number.isNaN(value) ? byDefault : value;
  };
  return {
    seconds: {
      [TCP]: await number('tcp_timeout_established', DEFAULT_TCP_SECONDS),
      [UDP]: await number('udp_timeout_stream', DEFAULT_UDP_SECONDS),
    },
    room: Math.max(0, (await number('max', DEFAULT_MAX_FLOWS)) - (await number('count', 0))),
  };
}

function pathOf(name: string): string {
  return `/proc/sys/net/netfilter/nf_conntrack_${name}`;
}
