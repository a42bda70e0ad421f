import type { Address } from '#core/model/net/address.ts';
import type { LinkEnd } from './links.ts';
import { toAddress } from './packet.ts';

/**
 * Whether the kernel drops a packet from this source before its input hook, whatever the settings: an IPv4 source that
 * is 0.0.0.0, loopback, multicast or 255.255.255.255 (ip_route_input_slow), an IPv6 one that is loopback or multicast
 * (ip6_rcv_core). Measured: all others get there, the host's own, class E and IPv4-mapped ones included. Of 0.0.0.0/8,
 * kernels before 5.3 drop the whole.
 */
export function kernelDropsSource(source: string | Address): boolean {
  const { family, value } = toAddress(source);
  if (family === 'ipv6') return value === 1n || value >> 120n === 0xffn;
  return value === 0n || value >> 24n === 127n || value >> 28n === 0xen || value === 0xffff_ffffn;
}

/**
 * Whether no packet from the host to this destination reaches the wire of the interface with the end `own`: 0.0.0.0
 * and the interface's own addresses are delivered locally, IPv6 multicast of a scope no wider than the interface
 * (RFC 4291, 2.7) does not leave it. Measured: all others do, loopback addresses included, as the sender is bound to
 * the interface.
 */
export function kernelKeepsDestination(destination: string | Address, own: LinkEnd): boolean {
  const { family, value } = toAddress(destination);
  const isOwn = [own.ipv4, own.ipv6, own.linkLocal]
    .map(toAddress)
    .some((a) => a.family === family && a.value === value);
  if (isOwn) return true;
  if (family === 'ipv4') return value === 0n;
  return value >> 120n === 0xffn && ((value >> 112n) & 0xfn) <= 1n;
}

/** Whether the kernel writes a source of its own over this one on output: it does over 0.0.0.0 (raw(7)). */
export function kernelReplacesSource(source: string | Address): boolean {
  const { family, value } = toAddress(source);
  return family === 'ipv4' && value === 0n;
}
