import type { Change, Transaction } from '#core/model/nft/change.ts';
import type { InForce, Rendered } from '#core/model/nft/in-force.ts';
import type { AddressMap, AddressSet } from '#core/model/nft/ruleset.ts';
import type { Script } from '#core/model/nft/script.ts';
import { formatApplied, TABLE } from '#core/translate/5-render/names.ts';
import type { RenderedRuleset } from '#core/translate/5-render/render-objects.ts';
import { isMap } from '#core/translate/5-render/render-set.ts';
import {
  appliedLines,
  contentLines,
  elementLines,
  type KernelObjects,
  labelRuleLines,
  line,
  markerLine,
  removal,
  revokedSetLines,
} from '#core/translate/5-render/script-lines.ts';
import { labelChainNames, labelChains, nextLabels } from './label-chains.ts';
import { kernelNames, type NamePlan } from './plan-names.ts';
import { baseLines, chainRules, dynamicBlock, logLines, objectDeclarations, staticSets } from './ruleset-lines.ts';
import { untrackedRemoval, untrackedScript } from './untracked-chains.ts';

/** A set of more elements than this is filled separately, before anything refers to it: nft takes longest for these. */
const MAX_SCRIPTED_ELEMENTS = 1_000;

/** What a swap applies, and what it begins from. */
export interface SwapStep {
  readonly wanted: RenderedRuleset;
  readonly plan: NamePlan;
  readonly contentHash: string;
  readonly inForce: InForce | undefined;
  /** Whether conntrack is not in use in this network namespace. */
  readonly untracked: boolean;
}

/**
 * A change of rules: creates everything new, then switches packets to it and removes the old in one transaction.
 *
 * INVARIANT: everything new exists, whole, before the transaction that packets notice, and that one changes only rules:
 * a packet sees all rules of a chain that stays from before the change, or all from after it. A chain is visible at once,
 * the content of a new interval set a moment later: with one transaction, 200 replacements under a flood misrouted 415 to
 * 5,456 packets, measured; with two, none.
 */
export function swap(step: SwapStep): Change {
  const { wanted, plan, inForce, untracked } = step;
  const next = inForceAfter(step);
  const newLabelChains = labelChainNames(wanted.chainSets).filter((name) => !(inForce?.chains ?? []).includes(name));
  const guard = untrackedRemoval();
  const steps: readonly { readonly transaction: Transaction; readonly undo: Script }[] = [
    ...(untracked ? [{ transaction: asScript(untrackedScript()), undo: guard }] : []),
    ...preparation(wanted, plan, { labelChains: newLabelChains, next }),
    { transaction: asScript(commitScript(step, { next, newLabelChains, guard })), undo: [] },
  ];
  return {
    kind: 'swap',
    transactions: steps.map(({ transaction }) => transaction),
    undo: steps.map(({ undo }) => undo),
    addition: [],
    next,
  };
}

interface Preparation {
  readonly labelChains: readonly string[];
  readonly next: InForce;
}

function preparation(
  wanted: RenderedRuleset,
  { rendered, isNew }: NamePlan,
  { labelChains: newLabelChains, next }: Preparation,
): readonly { readonly transaction: Transaction; readonly undo: Script }[] {
  const kernel = kernelNames(rendered);
  const objects = wanted.objects.filter(({ name }) => isNew(name));
  const dynamic = wanted.dynamic.filter(({ name }) => isNew(name));
  const big = dynamic.filter(({ elements }) => elements.length > MAX_SCRIPTED_ELEMENTS);
  const small = dynamic.filter((set) => !big.includes(set));
  const kernelsOf = (kind: 'chain' | 'set' | 'map'): string[] =>
    objects.filter((object) => object.kind === kind).map(({ name }) => kernel(name));
  const chains = [...newLabelChains, ...kernelsOf('chain')];
  const declared: Script = [
    line(`add table ${TABLE}`),
    ...logLines(wanted),
    ...objectDeclarations(objects, { rendered, labelChains: newLabelChains }),
  ];
  const content: Script = [
    line(`table ${TABLE} {`),
    markerLine(),
    ...revokedSetLines(),
    ...small.flatMap((set) => dynamicBlock(set, wanted, rendered)),
    ...staticSets(objects, rendered),
    line('}'),
    ...chainRules(objects, rendered),
    ...labelChains(wanted.chainSets, next.labels)
      .filter(({ chain }) => newLabelChains.includes(chain))
      .flatMap(labelRuleLines),
  ];
  const filled = {
    maps: [...kernelsOf('map'), ...small.filter(isMap).map(({ name }) => kernel(name))],
    sets: [...kernelsOf('set'), ...small.filter((set) => !isMap(set)).map(({ name }) => kernel(name))],
  };
  if (big.length === 0) {
    return [{ transaction: asScript([...declared, ...content]), undo: removal({ chains, ...filled }) }];
  }
  const empty = big.flatMap((set) => dynamicBlock({ ...set, elements: [] }, wanted, rendered));
  const undoBig = removal({
    chains,
    maps: big.filter(isMap).map(({ name }) => kernel(name)),
    sets: big.filter((set) => !isMap(set)).map(({ name }) => kernel(name)),
  });
  return [
    { transaction: asScript([...declared, line(`table ${TABLE} {`), ...empty, line('}')]), undo: undoBig },
    ...big.map((set) => ({ transaction: filling(set, wanted, kernel), undo: [] })),
    // The step that made the chains removes them when it is undone.
    {
      transaction: asScript(content),
      undo: [...chains.map((name) => line(`flush chain ${TABLE} ${name}`)), ...removal({ chains: [], ...filled })],
    },
  ];
}

/** Fills a new set that nothing refers to yet. */
function filling(
  set: AddressSet | AddressMap,
  { canonical }: RenderedRuleset,
  kernel: (name: string) => string,
): Transaction {
  const added =
    set.kind === 'addresses'
      ? set.elements.map((interval) => ({ interval, verdict: undefined }))
      : set.elements.map(({ key, verdict }) => ({
          interval: key,
          verdict: 'chain' in verdict ? { ...verdict, chain: kernel(canonical(verdict.chain)) } : verdict,
        }));
  const { family, interval } = set;
  const change = { set: kernel(set.name), key: family, interval, removed: [], added };
  return {
    netlink: { table: TABLE, changes: [change], rules: [], applied: undefined },
    unreferenced: true,
    // Made only if it is needed: a big set is rarely filled by a script, and has many lines.
    get script() {
      return elementLines(change);
    },
  };
}

interface Commit {
  readonly next: InForce;
  readonly newLabelChains: readonly string[];
  readonly guard: Script;
}

function commitScript({ wanted, plan, inForce, untracked }: SwapStep, { next, newLabelChains, guard }: Commit): Script {
  const kernel = kernelNames(plan.rendered);
  const rewritten = wanted.objects.filter(({ name }) => plan.isRewritten(name));
  const staying = new Set([...next.chains, ...next.maps, ...next.sets]);
  const gone = (names: readonly string[] = []): readonly string[] => names.filter((name) => !staying.has(name));
  return [
    ...(untracked ? guard : []),
    ...baseLines(wanted, plan.rendered),
    ...rewritten.map(({ name }) => line(`flush chain ${TABLE} ${kernel(name)}`)),
    ...chainRules(rewritten, plan.rendered),
    ...labelChains(wanted.chainSets, next.labels)
      .filter(({ chain }) => !newLabelChains.includes(chain))
      .flatMap(contentLines),
    ...removal({ chains: gone(inForce?.chains), maps: gone(inForce?.maps), sets: gone(inForce?.sets) }),
    ...appliedLines(formatApplied(next)),
  ];
}

function inForceAfter({ wanted, plan, contentHash, inForce, untracked }: SwapStep): InForce {
  const { chains, maps, sets } = objectsOf(plan.rendered);
  return {
    generation: plan.generation,
    contentHash,
    rendered: plan.rendered,
    // If nothing was tracked so far, no flow has a label.
    labels: nextLabels(inForce?.labels ?? (untracked ? { used: 0 } : 'unknown'), wanted.chainSets),
    chains: [...chains, ...labelChainNames(wanted.chainSets)],
    maps,
    sets,
  };
}

function objectsOf({ objects, dynamic }: Rendered): KernelObjects {
  const all = [
    ...[...objects.values()].map(({ kind, kernel }) => ({ kind, kernel })),
    ...[...dynamic.values()].map(({ set, kernel }) => ({ kind: isMap(set) ? 'map' : 'set', kernel })),
  ];
  const namesOf = (wanted: string): string[] => all.filter(({ kind }) => kind === wanted).map(({ kernel }) => kernel);
  return { chains: namesOf('chain'), maps: namesOf('map'), sets: namesOf('set') };
}

function asScript(script: Script): Transaction {
  return { script, netlink: undefined, unreferenced: false };
}
