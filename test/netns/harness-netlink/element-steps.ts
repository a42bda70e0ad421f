import fc from 'fast-check';
import { type Family, formatAddress, highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { ChainContent, Element, ElementTransaction } from '#core/model/nft/element-change.ts';
import type { SimpleVerdict } from '#core/model/nft/ruleset.ts';
import { renderLabelRule } from '#core/translate/5-render/render-label-rule.ts';

/** A set or map of the table that tests change. */
export interface SetSpec {
  readonly name: string;
  readonly key: Family;
  readonly interval: boolean;
  readonly isMap: boolean;
}

/** One of each kind that elements can be of. */
export const SETS: readonly SetSpec[] = (['ipv4', 'ipv6'] as const).flatMap((key) =>
  [false, true].flatMap((interval) =>
    [false, true].map((isMap) => ({
      name: `${interval ? 'ranges' : 'hosts'}.${key}.${isMap ? 'map' : 'set'}.g1`,
      key,
      interval,
      isMap,
    })),
  ),
);

/** The table, empty. */
export const TABLE_TEXT = `add table inet secgroupd
delete table inet secgroupd
table inet secgroupd {
  chain one.g1 { accept; }
  chain two.g1 { drop; }
  chain judged { }
  set applied { type mark; comment "what is in force"; }
${SETS.map(({ name, key, interval, isMap }) => {
  const type = `type ${key === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr'}${isMap ? ' : verdict' : ''}`;
  return `  ${isMap ? 'map' : 'set'} ${name} { ${type};${interval ? ' flags interval;' : ''} }`;
}).join('\n')}
}
`;

const VERDICTS: readonly SimpleVerdict[] = [
  { kind: 'accept' },
  { kind: 'drop' },
  { kind: 'return' },
  { kind: 'jump', chain: 'one.g1' },
  { kind: 'goto', chain: 'two.g1' },
];

/** What the sets hold, by name; each sorted. */
export type Content = ReadonlyMap<string, readonly Element[]>;

/** What a step of a random sequence does to one set. */
export interface RandomChange {
  readonly set: SetSpec;
  /** Which of the elements there leave, by turns. */
  readonly leave: readonly boolean[];
  /** Where the ends of what joins are to be, out of a space of so many places. */
  readonly ends: readonly number[];
  readonly verdicts: readonly SimpleVerdict[];
  readonly spoilt: 'no' | 'there already' | 'not there' | 'no such set';
}

/** Places for the ends of elements: few, so that ranges touch and come again; the lowest and the highest are the family's. */
const PLACES = 40;

/** Random steps, each of some changes and perhaps rules. */
export const STEPS = fc.array(
  fc.record({
    changes: fc.uniqueArray(
      fc.record({
        set: fc.constantFrom(...SETS),
        leave: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
        ends: fc.array(fc.integer({ min: 0, max: PLACES - 1 }), { maxLength: 10 }),
        verdicts: fc.array(fc.constantFrom(...VERDICTS), { minLength: 3, maxLength: 3 }),
        spoilt: fc.oneof(
          { weight: 15, arbitrary: fc.constant('no' as const) },
          {
            weight: 1,
            arbitrary: fc.constantFrom('there already' as const, 'not there' as const, 'no such set' as const),
          },
        ),
      }),
      { maxLength: 3, selector: ({ set }) => set.name },
    ),
    rules: fc.array(
      fc.oneof(
        fc.uniqueArray(fc.integer({ min: 0, max: 127 }), { minLength: 1, maxLength: 3 }).map((bits) => ({
          kind: 'labelled' as const,
          bits,
          verdict: 'accept' as const,
        })),
        fc.integer({ min: 0, max: 127 }).map((bit) => ({ kind: 'label' as const, bit, verdict: 'accept' as const })),
        fc.constant({ kind: 'accept' as const }),
      ),
      { maxLength: 3 },
    ),
    hasRules: fc.boolean(),
  }),
  { minLength: 5, maxLength: 12 },
);

/** A step and what the sets hold after it. */
export interface PlannedStep {
  readonly change: ElementTransaction;
  readonly accepted: boolean;
  readonly after: Content;
}

/** The transaction that a random step is, given what the sets hold. */
export function planStep(
  {
    changes,
    rules,
    hasRules,
  }: { readonly changes: readonly RandomChange[]; readonly rules: ChainContent['rules']; readonly hasRules: boolean },
  before: Content,
  generation: number,
): PlannedStep {
  const after = new Map(before);
  const planned = changes.map((change) => {
    const { set, leave, spoilt } = change;
    const old = before.get(set.name) ?? [];
    const removed = old.filter((_, i) => leave[i % leave.length] === true);
    const stays = old.filter((element) => !removed.includes(element));
    const added = joining(change, stays);
    after.set(set.name, [...stays, ...added]);
    const missing = { interval: { family: set.key, from: 7n, to: 7n }, verdict: undefined };
    return {
      set: spoilt === 'no such set' ? 'nothing.g1' : set.name,
      key: set.key,
      interval: set.interval,
      removed: spoilt === 'not there' ? [...removed, missing] : removed,
      added: spoilt === 'there already' ? [...added, ...stays] : added,
    };
  });
  const accepted = changes.every(({ spoilt, set }, i) => {
    const { removed = [], added = [] } = planned[i] ?? {};
    if (spoilt === 'no such set') return removed.length + added.length === 0;
    if (spoilt === 'there already')
      return (after.get(set.name) ?? []).length === (before.get(set.name) ?? []).length - removed.length + added.length;
    return spoilt === 'no';
  });
  return {
    change: {
      table: 'inet secgroupd',
      changes: planned,
      rules: hasRules ? [{ chain: 'judged', rules }] : [],
      applied: { set: 'applied', comment: `generation ${generation} sha256:${'a'.repeat(generation % 40)}` },
    },
    accepted,
    after: accepted ? after : before,
  };
}

/** The elements that join: disjoint, and disjoint from what stays. */
function joining({ set, ends, verdicts }: RandomChange, stays: readonly Element[]): readonly Element[] {
  const joined: Element[] = [];
  for (let i = 0; i + 1 < ends.length; i += 2) {
    const [a = 0, b = 0] = [ends[i], ends[i + 1]];
    // A place has four addresses, so that ranges touch in some and not in others.
    const from = placeOf(set.key, Math.min(a, b)) + BigInt(a % 2);
    const to = set.interval && a !== b ? placeOf(set.key, Math.max(a, b)) + 3n - BigInt(b % 2) : from;
    const interval: Interval = { family: set.key, from, to };
    if ([...stays, ...joined].some((other) => other.interval.from <= to && from <= other.interval.to)) continue;
    joined.push({ interval, verdict: set.isMap ? verdicts[i % verdicts.length] : undefined });
  }
  return joined;
}

function placeOf(family: Family, place: number): bigint {
  return place < PLACES / 2 ? 4n * BigInt(place) : highestAddress(family) - 4n * BigInt(PLACES - place) + 1n;
}

/** The transaction as nft's language has it; `create` because `add` does not mind what is there. */
export function transactionText({ table, changes, rules, applied }: ElementTransaction): string {
  const lines = changes.flatMap(({ set, removed, added }) => [
    ...removed.map(({ interval }) => `delete element ${table} ${set} { ${intervalText(interval)} }`),
    ...added.map((element) => `create element ${table} ${set} { ${elementText(element)} }`),
  ]);
  for (const { chain, rules: content } of rules) {
    lines.push(`flush chain ${table} ${chain}`);
    for (const rule of content) {
      lines.push(`add rule ${table} ${chain} ${renderLabelRule(rule)}`);
    }
  }
  if (applied !== undefined) {
    lines.push(`flush set ${table} ${applied.set}`);
    lines.push(`add element ${table} ${applied.set} { 1 comment "${applied.comment}" }`);
  }
  return `${lines.join('\n')}\n`;
}

/** An element as nft's language has it. */
export function elementText({ interval, verdict }: Element): string {
  if (verdict === undefined) return intervalText(interval);
  const chain = 'chain' in verdict ? ` ${verdict.chain}` : '';
  return `${intervalText(interval)} : ${verdict.kind}${chain}`;
}

function intervalText({ family, from, to }: Interval): string {
  const first = formatAddress({ family, value: from });
  return from === to ? first : `${first}-${formatAddress({ family, value: to })}`;
}
