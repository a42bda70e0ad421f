import type { Change, Transaction } from '#core/model/nft/change.ts';
import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import type { Before, InForce, Rendered } from '#core/model/nft/in-force.ts';
import type { Ruleset } from '#core/model/nft/ruleset.ts';
import type { Script } from '#core/model/nft/script.ts';
import { elementsText, structureText } from '#core/translate/5-render/content-text.ts';
import { APPLIED_SET, formatApplied, TABLE } from '#core/translate/5-render/names.ts';
import { type RenderedRuleset, renderRuleset } from '#core/translate/5-render/render-objects.ts';
import { appliedLines, contentLines, elementLines, line } from '#core/translate/5-render/script-lines.ts';
import { chainSetLabelChains, nextLabels } from './label-chains.ts';
import { planNames } from './plan-names.ts';
import { creationScript } from './ruleset-lines.ts';
import { type SwapStep, swap } from './swap.ts';

/** A change, and the whole ruleset after it as one script, for booting and for people to read. */
export interface RenderedChange {
  readonly change: Change;
  readonly whole: () => Script;
}

/** The change from what is applied now to `ruleset`. `digest` identifies a text. */
export function renderChange(ruleset: Ruleset, before: Before, digest: (text: string) => string): RenderedChange {
  const untracked = before === 'untracked';
  const inForce = before === 'untracked' ? undefined : before;
  const wanted = renderRuleset(ruleset);
  const structure = digest(structureText(wanted));
  const plan = planNames(wanted, structure, inForce);
  const contentHash = digest(`${structure}\n${elementsText(wanted)}`);
  const change = chooseChange({ wanted, plan, contentHash, inForce, untracked });
  const rendered = change.next.rendered ?? plan.rendered;
  return { change, whole: () => wholeScript(wanted, { ...change.next, rendered }) };
}

/**
 * New labels, so that the rules decide on every flow again at its next packet: the first ones, if all flows were cleared
 * of labels (`cleared`), else the next ones. Undefined if none are left, or if this process did not make the table.
 */
export function renderLabels(inForce: InForce, { cleared }: { readonly cleared: boolean }): Change | undefined {
  const { rendered } = inForce;
  if (rendered === undefined) return undefined;
  const labels = nextLabels(cleared ? { used: 0 } : inForce.labels, rendered.chainSets);
  return labels === 'none' ? undefined : labelChange({ ...inForce, labels });
}

/** Stops using labels: the rules decide on every packet until all flows are cleared of labels. */
export function renderNoLabels(inForce: InForce): Change {
  return labelChange({ ...inForce, labels: 'none' });
}

function labelChange(next: InForce): Change {
  const rules = chainSetLabelChains(next.rendered?.chainSets ?? [], next.labels);
  const transaction = netlinkTransaction({ changes: [], rules, applied: undefined });
  return { kind: 'labels', transactions: [transaction], undo: [[]], addition: [], next };
}

function chooseChange(step: SwapStep): Change {
  const { inForce, contentHash, plan } = step;
  if (inForce !== undefined && inForce.contentHash === contentHash) {
    const { rendered } = inForce;
    // Lists that were read again replace the earlier ones, so that the next comparison with them is cheap too.
    const now = rendered !== undefined && plan.onlyElements && plan.differences.length === 0 ? plan.rendered : rendered;
    return { kind: 'none', transactions: [], undo: [], addition: [], next: { ...inForce, rendered: now } };
  }
  return inForce?.rendered !== undefined && plan.onlyElements ? changeElements(step, inForce) : swap(step);
}

// INVARIANT: elements first, labels in a transaction of their own. Packets see the new content of an interval set a moment
// after its commit, and one that met the old elements must not give its flow the new label.
function changeElements({ wanted, plan, contentHash }: SwapStep, inForce: InForce): Change {
  const { generation, rendered, differences } = plan;
  const labels = nextLabels(inForce.labels, wanted.chainSets);
  const applied = formatApplied({ generation, contentHash });
  return {
    kind: 'elements',
    transactions: [
      netlinkTransaction({ changes: differences, rules: [], applied: undefined }),
      netlinkTransaction({
        changes: [],
        rules: chainSetLabelChains(wanted.chainSets, labels),
        applied: { set: APPLIED_SET, comment: applied },
      }),
    ],
    undo: [[], []],
    addition: [...differences.flatMap(elementLines), ...appliedLines(applied)],
    next: { ...inForce, generation, contentHash, rendered, labels },
  };
}

function netlinkTransaction(change: Omit<ElementTransaction, 'table'>): Transaction {
  return {
    netlink: { table: TABLE, ...change },
    unreferenced: false,
    get script() {
      return [
        ...change.changes.flatMap(elementLines),
        ...change.rules.flatMap(contentLines),
        ...(change.applied === undefined ? [] : appliedLines(change.applied.comment)),
      ];
    },
  };
}

/** The whole ruleset as one transaction that replaces our table, whatever it contains. Flows may then have any labels. */
function wholeScript(
  wanted: RenderedRuleset,
  { generation, contentHash, rendered }: Pick<InForce, 'generation' | 'contentHash'> & { readonly rendered: Rendered },
): Script {
  return [
    // nft before 1.0.8 does not know `destroy`; with the addition first, the deletion cannot fail.
    line(`add table ${TABLE}`),
    line(`delete table ${TABLE}`),
    line(`add table ${TABLE}`),
    ...creationScript(wanted, rendered),
    ...appliedLines(formatApplied({ generation, contentHash })),
  ];
}
