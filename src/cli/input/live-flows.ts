import type { LiveFlows } from '#core/change-effects.ts';
import type { Flow } from '#core/model/packet/flow.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import { parseAddress } from '#core/read/2-analyze/address-text.ts';
import { findSshSession } from '#host/ssh-session.ts';
import { readFlows } from '#kernel/conntrack/read-flows.ts';
import { NetfilterError } from '#kernel/errors.ts';

/** Reads the live flows from conntrack; `unknown` if the kernel does not give them. */
export async function readLiveFlows(): Promise<LiveFlows> {
  try {
    return { kind: 'known', flows: await readFlows() };
  } catch (error) {
    if (!(error instanceof NetfilterError)) throw error;
    const reason = error.failure === 'not-permitted' ? 'that needs root' : error.message;
    return { kind: 'unknown', reason };
  }
}

/** The ssh connection through which this program was started; undefined if there is none. */
export async function readOwnSession(): Promise<Flow | undefined> {
  const session = await findSshSession();
  if (session === undefined) return undefined;
  const [source, destination] = [parseAddress(session.clientAddress), parseAddress(session.serverAddress)];
  if (source.kind === 'problem' || destination.kind === 'problem') return undefined;
  return {
    protocol: TCP,
    source: source.address,
    destination: destination.address,
    sourcePort: session.clientPort,
    destinationPort: session.serverPort,
    icmpType: undefined,
    icmpCode: undefined,
  };
}
