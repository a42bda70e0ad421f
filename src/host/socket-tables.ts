import { readdir, readFile, readlink } from 'node:fs/promises';
import { type Address, addressFromBytes } from '#core/model/net/address.ts';

/** A socket as a table of /proc/net lists it. */
export interface SocketLine {
  /** The address that it is bound to; undefined means every address of the host. */
  readonly address: Address | undefined;
  /** The port; of a raw socket, the IP protocol. */
  readonly port: number;
  readonly hasRemote: boolean;
  /** As in the kernel's include/net/tcp_states.h, in hexadecimal. */
  readonly state: string;
  readonly inode: string;
}

/** A program that has a socket open. */
export interface SocketOwner {
  readonly program: string;
  readonly process: number;
}

/**
 * Reads the sockets in a table of the process's network namespace, such as `tcp6` or `raw` (proc(5), /proc/net); none if the
 * kernel has no such table.
 */
export async function readSocketTable(table: string): Promise<readonly SocketLine[]> {
  const text = await readFile(`/proc/self/net/${table}`, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', remote = '', state = '', ...rest] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      if (port === '') return [];
      return [
        {
          address: /^0+$/.test(address) ? undefined : readAddress(address),
          port: Number.parseInt(port, 16),
          hasRemote: !/^0+:0+$/.test(remote),
          state,
          inode: rest[5] ?? '',
        },
      ];
    });
}

/** Reads an address as these tables write it: 32-bit words in hexadecimal, each in host byte order. */
function readAddress(text: string): Address {
  const words = Array.from(text.matchAll(/.{8}/g), ([word]) => Number.parseInt(word, 16));
  const bytes = new Uint8Array(new Uint32Array(words).buffer);
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  return addressFromBytes(isMapped ? bytes.subarray(12) : bytes);
}

/** A program that has each socket open, by the socket's inode, if known; for other users' programs that takes root. */
export async function socketOwners(inodes: ReadonlySet<string>): Promise<ReadonlyMap<string, SocketOwner>> {
  const owners = new Map<string, SocketOwner>();
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    // Processes come and go, and only root can inspect those of other users.
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode === undefined || !inodes.has(inode) || owners.has(inode)) continue;
      const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      owners.set(inode, { program, process: Number(pid) });
    }
  }
  return owners;
}
