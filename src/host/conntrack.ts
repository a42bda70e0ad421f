import { readFile } from 'node:fs/promises';
import { type FlowProtocol, TCP, UDP } from '#core/model/policy/protocols.ts';

const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count';
/** Linux nf_conntrack_proto_tcp.c, nf_conntrack_proto_udp.c, nf_conntrack_core.c. */
const USUAL_TCP_SECONDS = 432_000;
const USUAL_UDP_SECONDS = 120;
const USUAL_MAX = 65_536;

/**
 * Whether conntrack knows flows in this network namespace, which it does as soon as any table here asks for their
 * state. False where its module is not loaded; true where that cannot be told.
 */
export async function isTracking(): Promise<boolean> {
  try {
    return Number((await readFile(COUNT, 'utf8')).trim()) > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** What conntrack has room and time for. */
export interface FlowLimits {
  /** How long flows that nobody speaks on are remembered, in seconds: TCP connections, and UDP in both directions. */
  readonly seconds: Readonly<Record<FlowProtocol, number>>;
  /** How many flows more there is room for. */
  readonly room: number;
}

/** The limits that are set in this network namespace; where one cannot be read, the kernel's usual one. */
export async function readFlowLimits(): Promise<FlowLimits> {
  const number = async (name: string, usual: number): Promise<number> => {
    const text = await readFile(`/proc/sys/net/netfilter/nf_conntrack_${name}`, 'utf8').catch(() => '');
    const read = Number.parseInt(text, 10);
    return Number.isNaN(read) ? usual : read;
  };
  return {
    seconds: {
      [TCP]: await number('tcp_timeout_established', USUAL_TCP_SECONDS),
      [UDP]: await number('udp_timeout_stream', USUAL_UDP_SECONDS),
    },
    room: Math.max(0, (await number('max', USUAL_MAX)) - (await number('count', 0))),
  };
}
