import type { Logger } from 'pino';
import { TABLE, TABLE_NAMES } from '../4-render/names.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { isTracking } from '../host/conntrack.ts';
import type { LastGood } from '../host/last-good.ts';
import type { HostPolicy, HostState } from '../model/host.ts';
import type { Before, InForce } from '../model/in-force.ts';
import { JUDGE_LABELS } from '../model/label-chains.ts';
import type { PolicyReader } from '../model/policy-reader.ts';
import { applyChange } from '../nft/apply-change.ts';
import type { ElementWriter } from '../nft/element-writer.ts';
import type { Nft } from '../nft/nft.ts';
import { NftError } from '../nft/nft-error.ts';
import { stampOf } from '../nft/stamp.ts';
import { clearScript, readInForce } from '../nft/table.ts';
import type { Change } from '../4-render/change.ts';
import { type RenderedChange, renderLabels, renderNoLabels } from '../4-render/render-change.ts';
import { createPolicyLoader, type LoadedPolicy } from '../load-policy.ts';
import { locateHost, planChange } from '../pipeline.ts';
import { type Enforcement, NOTHING_KNOWN, type Refusal } from './enforcement.ts';

/** What can have changed; each asks for a look at the thing itself. */
export type Dirt = 'policy' | 'host' | 'kernel';

/** What rounds work with. */
export interface RoundOptions {
  readonly reader: PolicyReader;
  readonly readHost: () => Promise<HostState>;
  readonly nft: Nft;
  readonly elements: ElementWriter;
  /** The instance this host is; undefined to find out. */
  readonly instance: string | undefined;
  /** Where the script that boots into what is in force is kept. */
  readonly lastGood: LastGood;
  readonly log: Logger;
}

/** How a round ended. */
export interface RoundOutcome {
  /** The kernel, or something else that should work, did not; nothing in force was changed by it. */
  readonly failed: boolean;
  /** The policy may be half written, for it has mistakes or an end amid a line: so many milliseconds from now it is to be looked at again. */
  readonly lookAgain: number | undefined;
  /** Something was brought into force. */
  readonly changed: boolean;
}

/** The steps from what the files say to what the kernel does; one at a time. */
export interface Rounds {
  /** Looks at what is dirty and brings about what follows; `forced` replaces all of our table whatever it seems to hold. */
  run(dirt: ReadonlySet<Dirt>, forced: boolean): Promise<RoundOutcome>;
  /**
   * Has every flow judged anew, once more after a change: a packet that was between two rules when the change came may
   * have noted the new label for what the old rules said. Where labels are used up, frees all flows of them first.
   * Returns whether it has to be called again, a while later.
   */
  settle(): Promise<boolean>;
  /** Removes our table, and keeps it away until the policy changes. Throws an NftError. */
  clear(): Promise<void>;
  known(): Enforcement;
  /** The files the policy consists of. */
  files(): readonly string[];
}

/** What the files said at a look. */
interface Look {
  readonly loaded: LoadedPolicy;
  /** When they were first seen to say so. */
  readonly since: number;
  /** One of them may be half written though it has no mistakes. */
  readonly unfinished: boolean;
}

/** A file that may be half written is taken as it is when it has been so for this time. */
const SETTLED_AFTER_MILLISECONDS = 250;

const ALL_JUDGE_LABELS = Array.from({ length: JUDGE_LABELS }, (_, label) => label);

const WHAT_HAPPENED = {
  none: 'policy in force already',
  elements: 'members changed',
  labels: 'flows are judged anew',
  swap: 'policy in force',
} as const;

/** Rounds of a daemon that knows nothing yet. */
export function createRounds({ reader, readHost, nft, elements, instance, lastGood, log }: RoundOptions): Rounds {
  const loadPolicy = createPolicyLoader(reader);
  let known = NOTHING_KNOWN;
  let files: readonly string[] = [];
  let look: Look | undefined;
  let taken: LoadedPolicy | undefined;
  let lookAgain: number | undefined;
  let kernelRead = false;
  let triedLastGood = false;

  const know = (news: Partial<Enforcement>): void => {
    known = { ...known, ...news };
  };

  const lookAtPolicy = async (): Promise<void> => {
    const loaded = await loadPolicy();
    files = loaded.files;
    if (look?.loaded !== loaded) {
      look = { loaded, since: performance.now(), unfinished: isUnfinished(loaded, taken) };
    }
    if (look.unfinished && !isSettled()) return;
    taken = loaded;
    if (loaded.policy === undefined) {
      refuseWhenSettled(loaded.diagnostics, loaded.sources);
      return;
    }
    if (known.refusal !== undefined && !isOfApplying(known.refusal)) log.info('the policy file is mended');
    const refusal = known.refusal !== undefined && isOfApplying(known.refusal) ? known.refusal : undefined;
    know({ policy: loaded.policy, files: loaded, warnings: loaded.diagnostics, refusal, cleared: false });
  };

  /** Whether the files have been as they are for a while; if not, asks for another look when they have. */
  const isSettled = (): boolean => {
    const left = (look?.since ?? 0) + SETTLED_AFTER_MILLISECONDS - performance.now();
    if (left <= 0) return true;
    lookAgain = left;
    return false;
  };

  /** A policy with mistakes may be half written: it is refused when it has been so for a while. */
  const refuseWhenSettled = (diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>): void => {
    if (isSettled()) refuse(diagnostics, sources);
  };

  const refuse = (diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>): void => {
    const before = known.refusal;
    if (before !== undefined && JSON.stringify(before.diagnostics) === JSON.stringify(diagnostics)) return;
    know({ refusal: { since: new Date(), diagnostics, sources } });
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    const [first] = errors;
    if (first === undefined) return;
    const { file, line, column } = first.span;
    log.error(
      { file, line, column, code: first.code, help: first.help, errors: errors.length },
      `policy refused, nothing in force changes: ${file}:${line}:${column}: ${first.message}`,
    );
  };

  const lookAtKernel = async (): Promise<void> => {
    const found = await readInForce(nft, TABLE_NAMES);
    // After a failure nobody knows what is there, and what is found then is nobody's drift.
    const expected = kernelRead && known.inForce?.rendered !== undefined ? known.inForce : undefined;
    kernelRead = true;
    if (expected !== undefined && found !== undefined && sameTable(expected, found)) return;
    if (expected === undefined || known.cleared) {
      know({ inForce: found });
      return;
    }
    log.warn({ found: found?.stamp ?? 'no table' }, 'somebody changed our table; putting it right');
    // The stamp is what we left there, and not what others made of the rest.
    know({ mended: known.mended + 1, inForce: found === undefined ? undefined : notOurs(found) });
  };

  /** A host that starts with a policy full of mistakes must not stand open for it. */
  const loadLastGood = async (): Promise<void> => {
    if (triedLastGood) return;
    triedLastGood = true;
    const script = await lastGood.read();
    if (script === undefined) {
      log.error('there is no valid policy and no last good one: this host has no rules of ours');
      return;
    }
    await nft.run(script.whole);
    // Without the changes of members since, it is what was in force a while ago, and better than nothing.
    if (script.changes.length > 0) {
      await nft.run(script.changes).catch((error: unknown) => {
        log.warn({ err: error }, 'the members last in force could not be loaded: those before them are');
      });
    }
    log.warn('there is no valid policy: the rules that were last in force are loaded');
    await lookAtKernel();
  };

  const enforce = async (forced: boolean): Promise<void> => {
    const { policy, host, cleared } = known;
    if (policy === undefined || host === undefined || cleared) return;
    const located = locateHost(policy, host, instance);
    if (located.kind === 'absent') {
      // A mistake in newer files is the newer news.
      if (known.refusal !== undefined && !isOfApplying(known.refusal)) return;
      const { message, help } = located;
      const span = { file: files[0] ?? '', line: 1, column: 1, endLine: 1, endColumn: 1 };
      const diagnostic = { code: 'host-not-in-policy', severity: 'error', message, span, related: [], help } as const;
      refuseWhenSettled([diagnostic], new Map());
      return;
    }
    const began = performance.now();
    const planned = planChange(located.hostPolicy, await beginning(forced), stampOf);
    if (planned.change.kind !== 'none' || known.appliedAt === undefined) await bringAbout(planned);
    inForceNow(located.hostPolicy, planned, performance.now() - began);
  };

  const beginning = async (forced: boolean): Promise<Before> => {
    const { inForce } = known;
    if (inForce === undefined) return (await isTracking()) ? undefined : 'untracked';
    return forced ? notOurs(inForce) : inForce;
  };

  const bringAbout = async ({ change, whole }: RenderedChange): Promise<void> => {
    // INVARIANT: what is applied was first written to disk, and takes the last good one's place once it is applied.
    let prepared = false;
    const save = async (): Promise<void> => {
      const added = change.kind === 'elements' && (await saving(() => lastGood.append(change.addition)));
      prepared = !added && (await saving(() => lastGood.prepare(whole())));
    };
    if (change.kind === 'elements') await save();
    await applyChange({ nft, elements }, change, change.kind === 'elements' ? undefined : save);
    if (prepared) await saving(() => lastGood.commit());
  };

  const inForceNow = (hostPolicy: HostPolicy, { change }: RenderedChange, milliseconds: number): void => {
    const first = known.appliedAt === undefined;
    const changed = change.kind !== 'none';
    know({
      inForce: change.next,
      hostPolicy,
      filesInForce: known.files,
      kernelTrouble: undefined,
      refusal: known.refusal !== undefined && isOfApplying(known.refusal) ? undefined : known.refusal,
      appliedAt: changed || first ? new Date() : known.appliedAt,
      applied: known.applied + (changed ? 1 : 0),
    });
    if (!changed && !first) return;
    const { generation, rendered } = change.next;
    const event = { generation, change: change.kind, instance: hostPolicy.instance, rules: rendered?.rules };
    log.info({ ...event, milliseconds: Math.round(milliseconds) }, WHAT_HAPPENED[change.kind]);
  };

  /** Whether a step of keeping what is in force was done; trouble is told, and keeps nothing out of force. */
  const saving = async (step: () => Promise<boolean | void>): Promise<boolean> => {
    try {
      const done = await step();
      know({ savingTrouble: undefined });
      return done !== false;
    } catch (error) {
      // The person at the keyboard wants the change now; the next boot begins with the one before and is told of this one.
      const message = `what is in force is not kept for the next boot: ${messageOf(error)}`;
      if (known.savingTrouble === undefined) log.error({ err: error }, message);
      know({ savingTrouble: { since: known.savingTrouble?.since ?? new Date(), message } });
      return false;
    }
  };

  const fail = (error: unknown): void => {
    const message = `the kernel was not changed: ${messageOf(error)}`;
    const span = error instanceof NftError ? error.span : undefined;
    log.error({ err: error, file: span?.file, line: span?.line }, message);
    const newer = known.refusal !== undefined && !isOfApplying(known.refusal);
    if (span !== undefined && !newer) {
      const refused = `the kernel refused this: ${messageOf(error)}`;
      refuse(
        [{ code: 'kernel-refused', severity: 'error', message: refused, span, related: [], help: undefined }],
        new Map(),
      );
    }
    know({ kernelTrouble: { since: known.kernelTrouble?.since ?? new Date(), message } });
    // Whatever nft left behind, the next round begins from what is really there.
    kernelRead = false;
  };

  const relabel = async (change: Change | undefined): Promise<void> => {
    if (change === undefined) return;
    await applyChange({ nft, elements }, change);
    know({ inForce: change.next });
  };

  return {
    async run(dirt, forced) {
      lookAgain = undefined;
      const appliedBefore = known.applied;
      try {
        if (dirt.has('policy')) await lookAtPolicy();
        if (dirt.has('host') || known.host === undefined) know({ host: await readHost() });
        if (dirt.has('kernel') || !kernelRead) await lookAtKernel();
        if (known.policy === undefined && known.inForce === undefined && !known.cleared) await loadLastGood();
        // A policy with mistakes changes nothing, be it for a table that means the same.
        await enforce(forced && lookAgain === undefined && known.refusal === undefined);
        return { failed: false, lookAgain, changed: known.applied !== appliedBefore };
      } catch (error) {
        fail(error);
        return { failed: true, lookAgain, changed: false };
      }
    },
    async settle() {
      const { inForce } = known;
      if (inForce?.rendered === undefined) return false;
      try {
        // No flow, no label that says too much.
        const flows = await isTracking();
        const next = renderLabels(inForce, { cleared: !flows });
        if (!flows && inForce.labels !== 'none') return false;
        if (next !== undefined) {
          await relabel(next);
          return false;
        }
        if (inForce.labels !== 'none') {
          // A flow that is being labelled this moment is not among those that could be freed now.
          await relabel(renderNoLabels(inForce));
          return true;
        }
        if (await elements.freeFlows(ALL_JUDGE_LABELS)) await relabel(renderLabels(inForce, { cleared: true }));
      } catch (error) {
        log.warn({ err: error }, 'labels of flows: trouble; live flows are judged by each packet meanwhile');
        kernelRead = false;
      }
      return false;
    },
    async clear() {
      await nft.run(clearScript(TABLE));
      know({ inForce: undefined, hostPolicy: undefined, filesInForce: undefined, cleared: true });
      log.warn('rules removed on request; they come back when the policy changes, on SIGHUP or at a restart');
    },
    known: () => known,
    files: () => files,
  };
}

/** Whether a file that is not as it was `taken` last is empty or ends amid a line: cut there, it may say what nobody means. */
function isUnfinished(loaded: LoadedPolicy, taken: LoadedPolicy | undefined): boolean {
  return [...loaded.sources].some(([file, text]) => !text.endsWith('\n') && taken?.sources.get(file) !== text);
}

/** Whether a refusal came after the files were found good, so that it ends when something is applied. */
function isOfApplying({ diagnostics }: Refusal): boolean {
  return diagnostics.every(({ code }) => code === 'kernel-refused' || code === 'host-not-in-policy');
}

/** A table of ours of which only the names are trusted, so that the next change replaces all of it. */
function notOurs(inForce: InForce): InForce {
  return { ...inForce, stamp: 'unknown', rendered: undefined, labels: 'unknown' };
}

function sameTable(ours: InForce, found: InForce): boolean {
  const names = (inForce: InForce): string =>
    JSON.stringify([inForce.sets, inForce.maps, inForce.chains].map((some) => some.toSorted()));
  return ours.stamp === found.stamp && ours.generation === found.generation && names(ours) === names(found);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
