import { readdir, readFile, readlink } from 'node:fs/promises';
import { type Address, addressFromBytes } from '../model/address.ts';

/** A socket that others can reach: TCP that listens, or UDP that is bound and talks to nobody in particular. */
export interface ListeningSocket {
  readonly protocol: 'tcp' | 'udp';
  /** The address it is bound to; undefined is every address the host has. */
  readonly address: Address | undefined;
  readonly port: number;
  /** The name of a program that has it open, where it can be told; that takes root. */
  readonly program: string | undefined;
}

// Kernel facts: proc(5), /proc/net/tcp; include/net/tcp_states.h.
const TABLES = [
  { file: 'tcp', protocol: 'tcp', state: '0A' },
  { file: 'tcp6', protocol: 'tcp', state: '0A' },
  { file: 'udp', protocol: 'udp', state: '07' },
  { file: 'udp6', protocol: 'udp', state: '07' },
] as const;

/** The listening sockets of the process's network namespace, in order of protocol, port and address. */
export async function readListeningSockets(): Promise<readonly ListeningSocket[]> {
  const found = await Promise.all(
    TABLES.map(async ({ file, protocol, state }) => {
      // Without IPv6 there are no such tables.
      const text = await readFile(`/proc/self/net/${file}`, 'utf8').catch(() => '');
      return text
        .split('\n')
        .slice(1)
        .flatMap((line) => {
          const read = readLine(line, state);
          return read === undefined ? [] : [{ protocol, ...read }];
        });
    }),
  );
  const sockets = found.flat();
  const programs = await programsOf(new Set(sockets.map(({ inode }) => inode)));
  return sockets
    .map(({ inode, ...socket }) => ({ ...socket, program: programs.get(inode) }))
    .toSorted((a, b) => (a.protocol === b.protocol ? a.port - b.port : a.protocol < b.protocol ? -1 : 1));
}

interface TableLine {
  readonly address: Address | undefined;
  readonly port: number;
  readonly inode: string;
}

/** Reads a line of such a table, if it is of a socket in `state` without a partner. */
function readLine(line: string, state: string): TableLine | undefined {
  const [, local = '', remote = '', found, ...rest] = line.trim().split(/\s+/);
  if (found !== state || !/^0+:0+$/.test(remote)) return undefined;
  const [address = '', port = ''] = local.split(':');
  const inode = rest[5] ?? '';
  return { address: /^0+$/.test(address) ? undefined : readAddress(address), port: Number.parseInt(port, 16), inode };
}

/** Reads an address as these tables have it: words of 32 bits, in hexadecimal, each in the host's byte order. */
function readAddress(text: string): Address {
  const words = Array.from(text.matchAll(/.{8}/g), ([word]) => Number.parseInt(word, 16));
  const bytes = new Uint8Array(new Uint32Array(words).buffer);
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  return addressFromBytes(isMapped ? bytes.subarray(12) : bytes);
}

/** The names of programs by the inodes of the sockets that they have open. */
async function programsOf(inodes: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
  const programs = new Map<string, string>();
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    // Processes come and go, and those of others can be looked into by root alone.
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode === undefined || !inodes.has(inode) || programs.has(inode)) continue;
      programs.set(inode, (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim());
    }
  }
  return programs;
}
