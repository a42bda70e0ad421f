import { sendInbound } from '../harness/probe.ts';
import type { Site } from './site.ts';
import { until } from './until.ts';

/** Finds out by packets which TCP ports of a site's host are open on eth0. */
export interface OpenPorts {
  /** Which of these ports a packet from `source` gets through to; 203.0.113.9 unless told. */
  among(ports: readonly number[], source?: string): Promise<readonly number[]>;
  /** Waits until just these of the candidates are open, for so many milliseconds. */
  until(ports: readonly number[], candidates: readonly number[], options?: UntilOpenOptions): Promise<void>;
}

/** From where, and for how long. */
export interface UntilOpenOptions {
  readonly source?: string | undefined;
  readonly within?: number;
}

/** What a person who saves a file may have to wait. */
const WITHIN_MILLISECONDS = 2_000;

/** Sends packets to the host of the site that `site` gives, each with another source port. */
export function openPortsOf(site: () => Site): OpenPorts {
  let identity = 0;
  const among = async (ports: readonly number[], source = '203.0.113.9'): Promise<readonly number[]> => {
    const packets = ports.map((destinationPort) => {
      identity += 1;
      return { source, destination: '10.77.0.1', protocol: 6, sourcePort: 1_024 + identity, destinationPort, identity };
    });
    const arrived = await sendInbound(site().world, 'eth0', packets);
    return packets.filter((packet) => arrived.has(packet.identity)).map(({ destinationPort }) => destinationPort);
  };
  return {
    among,
    async until(ports, candidates, { source, within = WITHIN_MILLISECONDS } = {}) {
      let last: readonly number[] = [];
      await until(
        `open are ${ports.join(', ')}`,
        async () => {
          last = await among(candidates, source);
          return last.join() === ports.join();
        },
        { within, instead: () => last },
      );
    },
  };
}
