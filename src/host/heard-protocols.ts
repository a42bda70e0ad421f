import { readFile } from 'node:fs/promises';
import type { Address, Family } from '#core/model/net/address.ts';
import { readSocketTable, socketOwners } from './socket-tables.ts';

/** An IP protocol other than TCP and UDP that a socket of this host receives. */
export interface HeardProtocol {
  readonly protocol: number;
  readonly family: Family;
  /** The address that the socket is bound to; undefined means every address of the host. */
  readonly address: Address | undefined;
  /** The name of a program that has it open, if known; that takes root. */
  readonly program: string | undefined;
}

/** Only sends (raw(7)). */
const IPPROTO_RAW = 255;
const IPPROTO_UDPLITE = 136;
const IPPROTO_SCTP = 132;

/** Protocols whose sockets /proc/net counts but does not list, by the kernel's names. */
const COUNTED: Readonly<Record<string, readonly [family: Family, protocol: number]>> = {
  DCCP: ['ipv4', 33],
  DCCPv6: ['ipv6', 33],
  'L2TP/IP': ['ipv4', 115],
  'L2TP/IPv6': ['ipv6', 115],
};

/** Reads what the raw, UDP-Lite, SCTP, DCCP and L2TP sockets of the process's network namespace receive, in order of protocol and family. */
export async function readHeardProtocols(): Promise<readonly HeardProtocol[]> {
  const sockets = [
    ...(await rawSockets('raw', 'ipv4')),
    ...(await rawSockets('raw6', 'ipv6')),
    ...(await udpLiteSockets('udplite', 'ipv4')),
    ...(await udpLiteSockets('udplite6', 'ipv6')),
    ...(await sctpSockets()),
  ];
  const owners = await socketOwners(new Set(sockets.map(({ inode }) => inode)));
  const heard = sockets.map(({ inode, ...socket }) => ({ ...socket, program: owners.get(inode)?.program }));
  return [...heard, ...(await countedSockets())].toSorted(
    (a, b) => a.protocol - b.protocol || (a.family === b.family ? 0 : a.family < b.family ? -1 : 1),
  );
}

type FoundSocket = Omit<HeardProtocol, 'program'> & { readonly inode: string };

async function rawSockets(table: string, family: Family): Promise<readonly FoundSocket[]> {
  return (await readSocketTable(table))
    .filter(({ port }) => port !== IPPROTO_RAW)
    .map(({ port, address, inode }) => ({ protocol: port, family, address, inode }));
}

async function udpLiteSockets(table: string, family: Family): Promise<readonly FoundSocket[]> {
  return (await readSocketTable(table))
    .filter(({ hasRemote }) => !hasRemote)
    .map(({ address, inode }) => ({ protocol: IPPROTO_UDPLITE, family, address, inode }));
}

/** `eps` lists the endpoints (net/sctp/proc.c); a listening one is in state 10, LISTENING. */
async function sctpSockets(): Promise<readonly FoundSocket[]> {
  const LISTENING = '10';
  const text = await readFile('/proc/self/net/sctp/eps', 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, , , state, , , , inode = '', ...addresses] = line.trim().split(/\s+/);
      if (state !== LISTENING) return [];
      const families: readonly Family[] = addresses.some((address) => address.includes(':'))
        ? ['ipv4', 'ipv6']
        : ['ipv4'];
      return families.map((family) => ({ protocol: IPPROTO_SCTP, family, address: undefined, inode }));
    });
}

/** `protocols` counts the sockets of the namespace by kind (net/core/sock.c, proto_seq_printf). */
async function countedSockets(): Promise<readonly HeardProtocol[]> {
  const text = await readFile('/proc/self/net/protocols', 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name = '', , sockets] = line.trim().split(/\s+/);
      const [family, protocol] = COUNTED[name] ?? [];
      if (family === undefined || protocol === undefined || Number(sockets) === 0) return [];
      return [{ protocol, family, address: undefined, program: undefined }];
    });
}
