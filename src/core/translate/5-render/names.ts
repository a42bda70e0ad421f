import { isLabelChain } from '#core/model/nft/label-chains.ts';
import { nameWithin } from '#core/model/nft/object-name.ts';
import { RECENT_SETS } from '#core/model/packet/recent-ends.ts';
import { REVOKED_SETS } from '#core/model/nft/revoked-flows.ts';

/** Our table: nothing outside it is ever touched. */
export const TABLE = 'inet secgroupd';

/** The set whose one element tells, in its comment, which generation and content are in force. */
export const APPLIED_SET = 'applied';

/** The base chains, which stay from one generation to the next so that no packet goes unjudged. */
export const BASE_CHAINS: readonly string[] = ['input', 'output'];

/** The kernel's name for what the ruleset calls `name`, made in `generation`. */
export function kernelName(name: string, generation: number): string {
  return nameWithin(name, `g${generation}`);
}

/** Versions before this one joined the parts of names by dots, and a change can begin from a table of theirs. */
const GENERATION = /[/.]g([1-9][0-9]*)$/;

/** The generation in which what the kernel calls `name` was made; undefined for names without one. */
function parseGeneration(name: string): number | undefined {
  // An interface can be called `g7`.
  const match = isLabelChain(name) ? null : GENERATION.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** What the ruleset calls what the kernel calls `name`. */
function parseName(name: string): string {
  return isLabelChain(name) ? name : name.replace(GENERATION, '');
}

/** The comment of the element of {@link APPLIED_SET}. */
export function formatApplied({
  generation,
  contentHash,
}: {
  readonly generation: number;
  readonly contentHash: string;
}): string {
  return `generation ${generation} ${contentHash}`;
}

/** Reads what {@link formatApplied} wrote. */
function parseApplied(comment: string): { readonly generation: number; readonly contentHash: string } | undefined {
  const match = /^generation ([1-9][0-9]*) ([A-Za-z0-9:_-]+)$/.exec(comment);
  return match?.[2] === undefined ? undefined : { generation: Number(match[1]), contentHash: match[2] };
}

/** Everything a reader of the kernel's table has to know of its names. */
export const TABLE_NAMES = {
  table: TABLE,
  appliedSet: APPLIED_SET,
  keptSets: [APPLIED_SET, ...RECENT_SETS, ...REVOKED_SETS],
  baseChains: BASE_CHAINS,
  parseGeneration,
  parseName,
  parseApplied,
} as const;
