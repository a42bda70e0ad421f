import { readFile } from 'node:fs/promises';
import type { Address } from '#core/model/net/address.ts';
import type { FlowProtocolName } from '#core/model/policy/protocols.ts';
import { readSocketTable, socketOwners } from './socket-tables.ts';

/** A socket that other hosts can reach: a listening TCP socket, or a bound UDP socket that is not connected. */
export interface ListeningSocket {
  readonly protocol: FlowProtocolName;
  /** The address that it is bound to; undefined means every address of the host. */
  readonly address: Address | undefined;
  readonly port: number;
  /** The name of a program that has it open, if known; that takes root, and the kernel has sockets of its own. */
  readonly program: string | undefined;
  /** The process of that program. */
  readonly process?: number | undefined;
}

/** The ports that the kernel assigns to clients. */
export interface ClientPorts {
  readonly from: number;
  readonly to: number;
}

/** The kernel's default (ip(7), ip_local_port_range). */
export const DEFAULT_CLIENT_PORTS: ClientPorts = { from: 32_768, to: 60_999 };

// Kernel facts: proc(5), /proc/net/tcp; include/net/tcp_states.h.
const LISTENING: Readonly<Record<FlowProtocolName, string>> = { tcp: '0A', udp: '07' };
const TABLES = (Object.keys(LISTENING) as FlowProtocolName[]).flatMap((protocol) =>
  [protocol, `${protocol}6`].map((file) => ({ file, protocol, listening: LISTENING[protocol] })),
);

/** Reads the listening sockets of the process's network namespace, in order of protocol and port. */
export async function readListeningSockets(): Promise<readonly ListeningSocket[]> {
  const found = await Promise.all(
    TABLES.map(async ({ file, protocol, listening }) =>
      (await readSocketTable(file))
        .filter(({ state, hasRemote }) => state === listening && !hasRemote)
        .map(({ address, port, inode }) => ({ protocol, address, port, inode })),
    ),
  );
  const sockets = found.flat();
  const owners = await socketOwners(new Set(sockets.map(({ inode }) => inode)));
  return sockets
    .map(({ inode, ...socket }) => ({
      ...socket,
      program: owners.get(inode)?.program,
      process: owners.get(inode)?.process,
    }))
    .toSorted((a, b) => (a.protocol === b.protocol ? a.port - b.port : a.protocol < b.protocol ? -1 : 1));
}

/** Reads the ports that clients get on this host. */
export async function readClientPorts(): Promise<ClientPorts> {
  const text = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '');
  const [from, to] = text.trim().split(/\s+/).map(Number);
  return from === undefined || to === undefined || !(from <= to) ? DEFAULT_CLIENT_PORTS : { from, to };
}
