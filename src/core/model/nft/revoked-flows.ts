import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { objectName } from './object-name.ts';

/*
 * The kernel remembers flows that a change of the inbound rules has cut. conntrack forgets a flow, after a forged reset
 * within seconds, and what the server sends next would then open it anew, the other way round. A packet of the host's
 * that conntrack knows no flow of, and that opens no TCP connection, is looked up in these sets.
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

/** How many flows of a family are remembered; an element takes the kernel some 200 bytes. */
export const MAX_REVOKED_FLOWS = 120_000;

/** How many elements the kernel takes: more than are remembered, since those that are renewed are there twice for a moment. */
export const MAX_REVOKED_ELEMENTS = 131_072;

/** How long an element lives that nobody renews. */
export const REVOKED_SECONDS = 86_400;
