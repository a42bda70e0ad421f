import { nameWithin } from '#core/model/nft/object-name.ts';
import type { NftRule, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import { builtIn } from './built-in-rule.ts';
import { REMOTE_END } from './match-terms.ts';
import { clausesOf, oncePerView } from './remote-view.ts';
import { type Resolution, resolveAddresses } from './resolve-addresses.ts';
import { decided, lookup, type TreeContext, target } from './tree-context.ts';

/** Up to this many intervals, comparing one after another is cheaper than a lookup (44 ns each against 89 to 162). */
const MAX_LINEAR_INTERVALS = 3;

/** The nft rules for a list of rules that match by address alone. */
export function addressRules(rules: readonly Rule[], name: string, context: TreeContext): readonly NftRule[] {
  return oncePerView(context.made, rules, context.view, () => {
    const resolution = resolutionOf(rules, context);
    const { strata, rest } = resolution;
    const intervals = intervalRules(resolution, name, context);
    const inSets = strata.flatMap((_, stratum) => setRules(resolution, stratum, context));
    const atLast = rest === undefined ? [] : [decided(rest, [], context)];
    return [...intervals, ...inSets, ...atLast];
  });
}

function resolutionOf(rules: readonly Rule[], { family, view, resolutions, verdicts }: TreeContext): Resolution {
  return oncePerView(resolutions, rules, view, () =>
    resolveAddresses(clausesOf(rules, family, view), family, verdicts),
  );
}

function intervalRules(resolution: Resolution, name: string, context: TreeContext): readonly NftRule[] {
  const { intervals } = resolution;
  const { role, family, maps } = context;
  const end = REMOTE_END[role];
  if (intervals.length === 0) return [];
  const after = new Map<string, SimpleVerdict>();
  const elements = intervals.map(({ interval, rule, stratum }) => ({
    key: interval,
    verdict: verdictOfInterval(stratum, rule, { resolution, name, context, after }),
    origin: rule.origin,
  }));
  if (elements.length <= MAX_LINEAR_INTERVALS) {
    return elements.map(({ key, verdict, origin }) => ({
      ...builtIn([{ kind: 'address', end, family, address: key }], verdict, ''),
      origin,
    }));
  }
  const map = {
    kind: 'addressMap',
    name: nameWithin(name, 'addresses'),
    family,
    interval: true,
    dynamic: false,
    elements,
  } as const;
  maps.push(map);
  return [lookup(map, end, 'addresses')];
}

interface IntervalContext {
  readonly resolution: Resolution;
  readonly name: string;
  readonly context: TreeContext;
  /** The verdicts made so far, by stratum. */
  readonly after: Map<string, SimpleVerdict>;
}

/** The verdict of an interval's rule, behind sets of earlier strata that say the opposite. */
function verdictOfInterval(
  stratum: number,
  rule: Rule,
  { resolution, name, context, after }: IntervalContext,
): SimpleVerdict {
  const earlier = resolution.strata.slice(0, stratum);
  const verdictOfRule = resolution.strata[stratum]?.says;
  if (!earlier.some(({ says, sets }) => says !== verdictOfRule && sets.length > 0)) return context.verdicts.of(rule);
  const key = String(stratum);
  const existing = after.get(key);
  if (existing !== undefined) return existing;
  const earlierSets = earlier.flatMap((_, index) => setRules(resolution, index, context));
  const verdict = target([...earlierSets, decided(rule, [], context)], nameWithin(name, `after${stratum}`), context);
  after.set(key, verdict);
  return verdict;
}

function setRules({ strata }: Resolution, stratum: number, context: TreeContext): readonly NftRule[] {
  const { role, family } = context;
  return (strata[stratum]?.sets ?? []).map(({ set, rule }) =>
    decided(rule, [{ kind: 'address', end: REMOTE_END[role], family, address: { set } }], context),
  );
}
