import { open } from 'node:fs/promises';
import {
  type FlowEnd,
  type FlowKey,
  flowKey,
  localEndOf,
  portCharacters,
  protocolOfFlow,
} from '#core/model/packet/flow-key.ts';
import type { FlowSockets } from '#core/model/packet/flow-sockets.ts';
import { FLOW_PROTOCOLS, isOfDatagrams } from '#core/model/policy/protocol-lookup.ts';
import { type FlowProtocol, TCP, UDP } from '#core/model/policy/protocols.ts';

// Kernel facts: proc(5), /proc/net/tcp; include/net/tcp_states.h.
const NAMES: Readonly<Record<FlowProtocol, string>> = { [TCP]: 'tcp', [UDP]: 'udp' };
const TABLES = FLOW_PROTOCOLS.flatMap((protocol) => [
  { file: NAMES[protocol], protocol, words: 1 },
  { file: `${NAMES[protocol]}6`, protocol, words: 4 },
]);
/** ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: at least one end may still send. */
const TALKING = new Set(['01', '04', '05', '08']);
/** LAST_ACK, CLOSING: only acknowledgements are missing. */
const ENDING = new Set(['09', '0B']);
const LISTENING = '0A';
/** UDP: bound, and not connected. */
const UNCONNECTED = '07';
const WORD_DIGITS = 8;
const MAPPED = '\0\0\0\0\0\0\0\0\0\0\xff\xff';
const READ_BYTES = 65_536;

/**
 * Reads the TCP and UDP sockets of the process's network namespace. The kernel returns some 4 kB at a time, and other work of
 * the process runs in between. A socket that comes or goes in the meantime may be missed.
 */
export async function readFlowSockets(): Promise<FlowSockets> {
  const connected = new Map<FlowKey, { readonly isTalking: boolean }>();
  const served = new Set<string>();
  for (const { file, protocol, words } of TABLES) {
    await eachLine(`/proc/self/net/${file}`, (line) => {
      const read = readLine(line, words);
      if (read === undefined) return;
      const { local, remote, state } = read;
      if (state === (isOfDatagrams(protocol) ? UNCONNECTED : LISTENING)) served.add(servedText(protocol, local));
      else if (TALKING.has(state) || ENDING.has(state))
        connected.set(flowKey(protocol, local, remote), { isTalking: TALKING.has(state) });
    });
  }
  return {
    connected,
    isServed(key) {
      const [protocol, local] = [protocolOfFlow(key), localEndOf(key)];
      return (
        served.has(servedText(protocol, local)) || served.has(servedText(protocol, { address: '', port: local.port }))
      );
    },
  };
}

/** A socket bound to every address serves each of them, and an IPv6 one also those of IPv4. */
function servedText(protocol: FlowProtocol, { address, port }: FlowEnd): string {
  return `${protocol} ${/^\0+$/.test(address) ? '' : address} ${port}`;
}

interface SocketLine {
  readonly local: FlowEnd;
  readonly remote: FlowEnd;
  readonly state: string;
}

// `  12: 0100007F:1F90 0200007F:A123 01 ...`; 100,000 such lines pass here, so they are read by offset.
function readLine(line: string, words: number): SocketLine | undefined {
  const begin = line.indexOf(': ') + 2;
  if (begin < 2) return undefined;
  const digits = words * WORD_DIGITS;
  const remote = begin + digits + 6;
  const state = remote + digits + 6;
  if (line.charAt(remote - 1) !== ' ' || line.charAt(state - 1) !== ' ') return undefined;
  return {
    local: endAt(line, begin, digits),
    remote: endAt(line, remote, digits),
    state: line.slice(state, state + 2),
  };
}

/** An address as 32-bit words in host byte order, which is little-endian, then a colon and the port as a number. */
function endAt(line: string, begin: number, digits: number): FlowEnd {
  let address = '';
  for (let at = begin; at < begin + digits; at += WORD_DIGITS) {
    const word = Number.parseInt(line.slice(at, at + WORD_DIGITS), 16);
    address += String.fromCharCode(word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24);
  }
  const port = Number.parseInt(line.slice(begin + digits + 1, begin + digits + 5), 16);
  return {
    address: address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address,
    port: portCharacters(port),
  };
}

async function eachLine(path: string, read: (line: string) => void): Promise<void> {
  // Without IPv6 there are no such tables.
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return;
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let rest = '';
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) break;
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) read(line);
    }
  } finally {
    await file.close();
  }
}
