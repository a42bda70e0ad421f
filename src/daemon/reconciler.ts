import type { Logger } from 'pino';
import { TABLE, TABLE_NAMES } from '../4-render/names.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import type { HostState } from '../model/host.ts';
import type { InForce } from '../model/in-force.ts';
import type { PolicyReader } from '../model/policy-reader.ts';
import { applyChange } from '../nft/apply-change.ts';
import type { Nft } from '../nft/nft.ts';
import { NftError } from '../nft/nft-error.ts';
import { stampOf } from '../nft/stamp.ts';
import { clearScript, readInForce } from '../nft/table.ts';
import { type LoadedPolicy, loadPolicy, locateHost, planChange } from '../pipeline.ts';
import { type Enforcement, NOTHING_KNOWN, type Refusal } from './enforcement.ts';
import { isTracking } from '../host/conntrack.ts';
import type { LastGood } from '../host/last-good.ts';

/** What can have changed; each asks for a look at the thing itself. */
export type Dirt = 'policy' | 'host' | 'kernel';

/** What the reconciler works with. */
export interface ReconcilerOptions {
  readonly reader: PolicyReader;
  readonly readHost: () => Promise<HostState>;
  readonly nft: Nft;
  /** The instance this host is; undefined to find out. */
  readonly instance: string | undefined;
  /** Where the script that boots into what is in force is kept. */
  readonly lastGood: LastGood;
  readonly log: Logger;
  /** Called after every round, with what is known then. */
  readonly onRound: (enforcement: Enforcement, files: readonly string[]) => void;
}

/** The one loop that changes the kernel. */
export interface Reconciler {
  /** Asks for a round because of `dirt`, after `delayMilliseconds` without another such call. */
  mark(dirt: Dirt, delayMilliseconds: number): void;
  /** Does a round now, or waits for the one under way and does another. */
  round(...dirt: readonly Dirt[]): Promise<void>;
  /** Removes our table, and keeps it away until the policy changes. */
  clear(): Promise<void>;
  enforcement(): Enforcement;
  /** Ends the loop; a round under way is finished first. What is in force stays. */
  close(): Promise<void>;
}

/** A policy with mistakes is looked at again after this time, since it may be half written; refused when it is still the same. */
const SECOND_LOOK_MILLISECONDS = 250;
const FIRST_RETRY_MILLISECONDS = 1_000;
const LAST_RETRY_MILLISECONDS = 60_000;
const WHAT_HAPPENED = {
  none: 'policy in force already',
  elements: 'members changed',
  swap: 'policy in force',
} as const;

/** A reconciler that has done nothing yet. */
export function createReconciler({
  reader,
  readHost,
  nft,
  instance,
  lastGood,
  log,
  onRound,
}: ReconcilerOptions): Reconciler {
  let known = NOTHING_KNOWN;
  let files: readonly string[] = [];
  let suspect: string | undefined;
  let kernelRead = false;
  let triedLastGood = false;
  let closed = false;
  let retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  const dirty = new Set<Dirt>();
  let timer: NodeJS.Timeout | undefined;
  let timerDue = 0;
  // INVARIANT: rounds run one after the other, so that the table never has two writers.
  let rounds: Promise<void> = Promise.resolve();

  const know = (news: Partial<Enforcement>): void => {
    known = { ...known, ...news };
  };

  const mark = (dirt: Dirt, delayMilliseconds: number): void => {
    if (closed) return;
    dirty.add(dirt);
    const due = Date.now() + delayMilliseconds;
    // A change of the policy waits for quiet; other changes never put off what is due already.
    if (timer !== undefined && dirt !== 'policy' && timerDue <= due) return;
    clearTimeout(timer);
    timerDue = due;
    timer = setTimeout(() => void enqueue(), delayMilliseconds);
  };

  const enqueue = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    rounds = rounds.then(oneRound);
    return rounds;
  };

  const retryLater = (): void => {
    mark('kernel', retryMilliseconds);
    retryMilliseconds = Math.min(2 * retryMilliseconds, LAST_RETRY_MILLISECONDS);
  };

  const oneRound = async (): Promise<void> => {
    const work = new Set(dirty);
    dirty.clear();
    if (work.size === 0) return;
    try {
      if (work.has('policy')) await lookAtPolicy();
      if (work.has('host') || known.host === undefined) know({ host: await readHost() });
      if (work.has('kernel') || !kernelRead) await lookAtKernel();
      if (known.policy === undefined && known.inForce === undefined && !known.cleared) await loadLastGood();
      await enforce();
    } catch (error) {
      // What was to be looked at still is.
      for (const dirt of work) dirty.add(dirt);
      failed(error);
    }
    onRound(known, files);
  };

  const lookAtPolicy = async (): Promise<void> => {
    const loaded = await loadPolicy(reader);
    files = loaded.files;
    if (loaded.policy === undefined) {
      considerRefusal(loaded);
      return;
    }
    suspect = undefined;
    if (known.refusal !== undefined) log.info('the policy file is mended');
    know({ policy: loaded.policy, warnings: loaded.diagnostics, refusal: undefined, cleared: false });
  };

  const considerRefusal = (loaded: LoadedPolicy): void => {
    const signature = JSON.stringify([[...loaded.sources], loaded.diagnostics]);
    if (signature === suspect) {
      refuse(loaded.diagnostics, loaded.sources);
      return;
    }
    suspect = signature;
    mark('policy', SECOND_LOOK_MILLISECONDS);
  };

  const refuse = (diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>): void => {
    const same =
      known.refusal !== undefined && JSON.stringify(known.refusal.diagnostics) === JSON.stringify(diagnostics);
    know({ refusal: { since: same && known.refusal ? known.refusal.since : new Date(), diagnostics, sources } });
    if (same) return;
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    const [first] = errors;
    if (first === undefined) return;
    const { file, line, column } = first.span;
    log.error(
      { file, line, column, code: first.code, help: first.help, errors: errors.length },
      `policy refused, nothing in force changes: ${file}:${line}:${column}: ${first.message}`,
    );
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
    await nft.run(script);
    log.warn('there is no valid policy: the rules that were last in force are loaded');
    await lookAtKernel();
  };

  const lookAtKernel = async (): Promise<void> => {
    const found = await readInForce(nft, TABLE_NAMES);
    kernelRead = true;
    const ours = known.inForce;
    if (ours?.ruleset !== undefined && found !== undefined && sameTable(ours, found)) return;
    if (ours?.ruleset !== undefined && !known.cleared) {
      log.warn(
        { found: found === undefined ? 'no table' : found.stamp },
        'somebody changed our table; putting it right',
      );
      know({ mended: known.mended + 1 });
    }
    know({ inForce: found });
  };

  const enforce = async (): Promise<void> => {
    const { policy, host, cleared } = known;
    if (policy === undefined || host === undefined || cleared) return;
    const located = locateHost(policy, host, instance);
    if (located.kind === 'absent') {
      const file = files[0] ?? '';
      const span = { file, line: 1, column: 1, endLine: 1, endColumn: 1 };
      const { message, help } = located;
      refuse([{ code: 'host-not-in-policy', severity: 'error', message, span, related: [], help }], new Map());
      return;
    }
    const began = performance.now();
    const { change, whole } = planChange(
      located.hostPolicy,
      known.inForce ?? ((await isTracking()) ? undefined : 'untracked'),
      stampOf,
    );
    const inForce = {
      inForce: change.next,
      hostPolicy: located.hostPolicy,
      kernelTrouble: undefined,
      refusal: known.refusal !== undefined && isOfApplying(known.refusal) ? undefined : known.refusal,
    };
    if (change.kind === 'none' && known.appliedAt !== undefined) {
      know(inForce);
      return;
    }
    // INVARIANT: what is applied was first written to disk, and takes the last good one's place there once it is applied.
    await saving(() => lastGood.prepare(whole()));
    try {
      await applyChange(nft, change);
    } catch (error) {
      failed(error);
      return;
    }
    await saving(() => lastGood.commit());
    retryMilliseconds = FIRST_RETRY_MILLISECONDS;
    know({ ...inForce, appliedAt: new Date(), applied: known.applied + (change.kind === 'none' ? 0 : 1) });
    const rules = change.next.ruleset?.chains.reduce((sum, chain) => sum + chain.rules.length, 0);
    log.info(
      {
        generation: change.next.generation,
        change: change.kind,
        instance: located.hostPolicy.instance,
        rules,
        milliseconds: Math.round(performance.now() - began),
      },
      WHAT_HAPPENED[change.kind],
    );
  };

  const saving = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
      know({ savingTrouble: undefined });
    } catch (error) {
      // The person at the keyboard wants the change now; the next boot begins with the one before and is told of this one.
      const message = `what is in force is not kept for the next boot: ${messageOf(error)}`;
      if (known.savingTrouble === undefined) log.error({ err: error }, message);
      know({ savingTrouble: { since: known.savingTrouble?.since ?? new Date(), message } });
    }
  };

  const failed = (error: unknown): void => {
    const message = `the kernel was not changed: ${messageOf(error)}`;
    const place = error instanceof NftError ? error.span : undefined;
    log.error({ err: error, file: place?.file, line: place?.line }, message);
    if (error instanceof NftError && error.failure === 'refused' && error.span !== undefined) {
      refuse(
        [
          {
            code: 'kernel-refused',
            severity: 'error',
            message: `the kernel refused this: ${error.message}`,
            span: error.span,
            related: [],
            help: undefined,
          },
        ],
        new Map(),
      );
    }
    know({ kernelTrouble: { since: known.kernelTrouble?.since ?? new Date(), message } });
    // Whatever nft left behind, the next round begins from what is really there.
    know({ inForce: undefined });
    kernelRead = false;
    retryLater();
  };

  return {
    mark,
    round(...dirt) {
      for (const one of dirt) dirty.add(one);
      return enqueue();
    },
    clear() {
      const clearing = rounds.then(async () => {
        await nft.run(clearScript(TABLE));
        know({ inForce: undefined, hostPolicy: undefined, cleared: true });
        log.warn('rules removed on request; they come back when the policy changes, on SIGHUP or at a restart');
        onRound(known, files);
      });
      rounds = clearing.catch(() => undefined);
      return clearing;
    },
    enforcement: () => known,
    async close() {
      closed = true;
      clearTimeout(timer);
      await rounds;
    },
  };
}

/** Whether a refusal came after the files were found good, so that it ends when something is applied. */
function isOfApplying({ diagnostics }: Refusal): boolean {
  return diagnostics.every(({ code }) => code === 'kernel-refused' || code === 'host-not-in-policy');
}

function sameTable(ours: InForce, found: InForce): boolean {
  const names = (inForce: InForce): string =>
    JSON.stringify([[...inForce.sets.values()].toSorted(), [...inForce.chains].toSorted()]);
  return ours.stamp === found.stamp && ours.generation === found.generation && names(ours) === names(found);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
