// The package's index loads nl80211, wireguard and the rest: 45 ms of start-up where the files in use take 8. The package
// has no exports map, and its version is pinned.
import type { Protocol } from 'netlink/dist/constants.js';
import { RawNetlinkSocket } from 'netlink/dist/raw.js';

/** The port that the kernel sends from; netlink messages from other ports are other processes'. */
export const KERNEL_PORT = 0;

/** Sizes of a socket's buffers, in bytes, as SO_RCVBUF and SO_SNDBUF take them. */
export interface BufferSizes {
  readonly receiveBytes: number;
  readonly sendBytes: number;
}

/** Opens a netlink socket of a protocol, bound to a port that the kernel chooses. Throws what opening throws. */
export function openRawSocket(protocol: Protocol, { receiveBytes, sendBytes }: BufferSizes): RawNetlinkSocket {
  return new RawNetlinkSocket(protocol, {
    // The package's own choice is based on the pid, and clashes between containers that share a network namespace.
    localPort: 0,
    recvBufferSize: receiveBytes,
    sendBufferSize: sendBytes,
  });
}

/** Closes a socket, but not from within a callback of it: the native half still uses its poll handle after the callback. */
export function closeLater(socket: RawNetlinkSocket): void {
  setImmediate(() => socket.close());
}
