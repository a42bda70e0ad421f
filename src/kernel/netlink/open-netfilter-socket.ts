import { Protocol } from 'netlink/dist/constants.js';
import type { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { errorText } from '#core/diagnostics/error-text.ts';
import { NetfilterError } from '#kernel/errors.ts';
import { openRawSocket } from './raw-socket.ts';

/**
 * What a kernel grants by default, rmem_max and wmem_max; it then takes twice that. No more is asked for even where more
 * would be granted, so that what fits on one host fits on all.
 */
const BUFFER_BYTES = 212_992;
const MIN_GRANTED_BYTES = 2 * BUFFER_BYTES;

/** Opens a netlink socket to netfilter. Throws a NetfilterError. */
export function openNetfilterSocket(): RawNetlinkSocket {
  let socket: RawNetlinkSocket;
  try {
    socket = openRawSocket(Protocol.NETFILTER, { receiveBytes: BUFFER_BYTES, sendBytes: BUFFER_BYTES });
  } catch (cause) {
    throw new NetfilterError('missing', `cannot open a netfilter socket: ${errorText(cause)}`, { cause });
  }
  const granted = Math.min(socket.getRecvBufferSize(), socket.getSendBufferSize());
  if (granted >= MIN_GRANTED_BYTES) return socket;
  socket.close();
  throw new NetfilterError('missing', `net.core.rmem_max and wmem_max are below ${BUFFER_BYTES}`);
}

/** The error of a netfilter socket that failed, after which it is unknown what the kernel has done. */
export function lostSocket(cause: unknown): NetfilterError {
  return new NetfilterError('died', `the netfilter socket failed: ${errorText(cause)}`, { cause });
}
