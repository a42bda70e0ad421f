import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { objectName } from './object-name.ts';

/*
 * The kernel remembers flows that a change of the inbound rules has cut. conntrack forgets a flow, within seconds after a
 * forged reset, and the server's next packet would then reopen it in the other direction. A packet from the host without
 * a conntrack flow that opens no TCP connection is looked up in these sets.
 */

/** The set of the revoked flows of a family, by the name it has in the ruleset and in the kernel: it outlives changes. */
export function revokedSet(family: Family): string {
  return objectName('revoked', family);
}

/** Both sets. */
export const REVOKED_SETS: readonly string[] = FAMILIES.map(revokedSet);

/** The fields of an element, as `nft --json` lists the lookup. */
export function revokedFields(family: Family): string {
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  return `l4proto . ${ip}.saddr . th.sport . ${ip}.daddr . th.dport`;
}

/** The chain that drops packets of revoked flows and returns all others. */
export const REVOKED_CHAIN = 'revoked';

/** The flows remembered per family; an element takes some 200 bytes in the kernel. */
export const MAX_REVOKED_FLOWS = 120_000;

/** The size of the kernel's sets: more than are remembered, since a renewed element is there twice for a moment. */
export const MAX_REVOKED_ELEMENTS = 131_072;

/** The lifetime of an element that is not renewed. */
export const REVOKED_SECONDS = 86_400;
