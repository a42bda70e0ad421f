import { isLabelChain } from '#core/model/nft/label-chains.ts';
import { nameWithin } from '#core/model/nft/object-name.ts';
import { REVOKED_SETS } from '#core/model/nft/revoked-flows.ts';
import { RECENT_SETS } from '#core/model/packet/recent-ends.ts';

/** Our table; nothing outside it is ever changed. */
export const TABLE = 'inet secgroupd';

/** The set whose one element has, in its comment, the generation and content hash in force. */
export const APPLIED_SET = 'applied';

/** The base chains, which stay from one generation to the next so that every packet meets rules. */
export const BASE_CHAINS: readonly string[] = ['input', 'output'];

/** The kernel's name of an object that is called `name` in the ruleset and made in `generation`. */
export function kernelName(name: string, generation: number): string {
  return nameWithin(name, `g${generation}`);
}

/** Earlier versions joined the parts of names by dots, and a change can begin from a table that they made. */
const GENERATION = /[/.]g([1-9][0-9]*)$/;

/** The generation in which the object of this kernel name was made; undefined for names without one. */
function parseGeneration(name: string): number | undefined {
  // An interface can be called `g7`.
  const match = isLabelChain(name) ? null : GENERATION.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** The ruleset's name of an object, by its kernel name. */
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

/** Everything that a reader of the kernel's table needs to know of its names. */
export const TABLE_NAMES = {
  table: TABLE,
  appliedSet: APPLIED_SET,
  keptSets: [APPLIED_SET, ...RECENT_SETS, ...REVOKED_SETS],
  baseChains: BASE_CHAINS,
  parseGeneration,
  parseName,
  parseApplied,
} as const;
