import type { Logger } from 'pino';
import { TABLE } from '#core/translate/5-render/names.ts';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { isTracking } from '#kernel/conntrack/conntrack-state.ts';
import type { OverrideFile } from '#host/state/override-file.ts';
import type { History } from '#host/state/history.ts';
import type { LastGood } from '#host/state/last-good.ts';
import { identityOfTexts, policyTexts } from '#host/files/policy-texts.ts';
import type { Settling, WaitingFile } from '#host/files/settling.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { Before, InForce } from '#core/model/nft/in-force.ts';
import { CHAIN_SET_LABELS } from '#core/model/nft/label-chains.ts';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { BootConf } from '#core/model/policy/boot-conf.ts';
import type { TableWriterLog } from '#kernel/nftables/table-writers.ts';
import type { ElementWriter } from '#kernel/nftables/element-writer.ts';
import type { Meanwhile } from '#kernel/nftables/apply-change.ts';
import type { FlowLabels } from '#kernel/conntrack/flow-labels.ts';
import type { Nft } from '#kernel/nftables/nft.ts';
import { NftError } from '#kernel/errors.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { clearScript } from '#kernel/nftables/table.ts';
import type { TableChanges } from '#kernel/nftables/table-changes.ts';
import type { Change } from '#core/model/nft/change.ts';
import { type RenderedChange, renderLabels, renderNoLabels } from '#core/translate/6-change/render-change.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { policiesBefore } from '#core/policies-before.ts';
import { planChange, planFallback, planLimited } from '#core/plan-change.ts';
import { createBootScript } from './boot-script.ts';
import type { Cutting } from './cutting.ts';
import {
  type Enforcement,
  type Held,
  identityOf,
  isOfApplying,
  NOTHING_KNOWN,
  type PolicyFiles,
  textsInForce,
  WHY_WAITING,
} from './enforcement.ts';
import { createInterfaceNotices } from './interface-notices.ts';
import { createHostFinder } from './host-name.ts';
import { createOpponent } from './opponent.ts';
import { createPolicyLooks } from './policy-look.ts';
import { giveWay } from './give-way.ts';
import type { PolicyProver } from './policy-prover.ts';
import { createTableGuard, notOurs } from './table-guard.ts';

/** What can have changed; each asks for a look at the thing itself. */
export type Dirt = 'policy' | 'host' | 'kernel';

/** What rounds work with. */
export interface RoundOptions {
  readonly reader: PolicyReader;
  /** Holds back from `reader` what is being written. */
  readonly settling: Pick<Settling, 'waiting' | 'accept'>;
  readonly prover: PolicyProver;
  /** Called with the files that the policy consists of as soon as they are known, before anything follows from them. */
  readonly onFiles: (files: readonly string[]) => void;
  readonly readHost: () => Promise<HostState>;
  readonly nft: Nft;
  readonly elements: ElementWriter;
  readonly flowLabels: FlowLabels;
  readonly changes: TableChanges;
  readonly tableWriters: TableWriterLog;
  /** The instance this host is; undefined to find out. */
  readonly instance: string | undefined;
  /** What becomes of a host that has no rules to load. */
  readonly bootConf: BootConf;
  /** Where the script that boots into what is in force is kept. */
  readonly lastGood: LastGood;
  readonly history: History;
  readonly heldFile: OverrideFile;
  readonly cutting: Cutting;
  readonly log: Logger;
}

/** How a round ended. */
export interface RoundOutcome {
  /** The kernel, or something else that should work, did not; nothing in force was changed by it. */
  readonly failed: boolean;
  /** A file of the policy is being written, or the policy may be half saved: so many milliseconds from now it is to be looked at again. */
  readonly lookAgain: number | undefined;
  /** Whether time alone decides what becomes of that. */
  readonly isSettling: boolean;
  /** When it ends, the policy is to be looked at again: what that asserts is being proved. */
  readonly proof: Promise<void> | undefined;
  /** Nothing is known of the policy but that it is not to be taken yet. */
  readonly isUndecided: boolean;
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
  /** Makes one transaction of elements that identify nothing. Throws what it throws. */
  amend(write: () => Promise<void>): Promise<void>;
  /** Removes our table, and keeps it away until the policy changes. Throws an NftError. */
  clear(): Promise<void>;
  /** Takes a policy in place of what the files say, or what they say; the next run brings it about. */
  hold(held: Held | undefined): void;
  /** Whether the kernel's `generation` says that somebody has changed a table, ours or another, since it was looked at. */
  isOvertaken(generation: number): boolean;
  /** How many milliseconds to wait before a change by others is undone: none, unless they do it again and again. */
  patience(): number;
  known(): Enforcement;
}

/** Of a policy's new warnings, the log shows so many; status lists all of them. */
const MAX_LOGGED_WARNINGS = 10;

const ALL_JUDGE_LABELS = Array.from({ length: CHAIN_SET_LABELS }, (_, label) => label);

const WHAT_HAPPENED = {
  none: 'policy in force already',
  elements: 'members changed',
  labels: 'flows are judged anew',
  swap: 'policy in force',
} as const;

const NOTHING_AWAITED = { lookAgain: undefined, isSettling: false, proof: undefined, isUndecided: false } as const;

/** Rounds of a daemon that knows nothing yet. */
export function createRounds(options: RoundOptions): Rounds {
  const {
    reader,
    settling,
    prover,
    onFiles,
    readHost,
    nft,
    elements,
    flowLabels,
    changes,
    tableWriters,
    instance,
    bootConf,
  } = options;
  const { lastGood, history, heldFile, cutting, log } = options;
  const looks = createPolicyLooks({ load: createPolicyLoader(reader, giveWay), settling, prover });
  let known = NOTHING_KNOWN;
  let files: readonly string[] = [];
  let awaited: Pick<RoundOutcome, 'lookAgain' | 'isSettling' | 'proof' | 'isUndecided'> = NOTHING_AWAITED;
  let lastProof: Promise<void> | undefined;
  let kernelRead = false;
  let isLastGoodMissing = false;
  let isUntrusted = false;
  let isTableNew = false;
  let recorded: { readonly files: PolicyFiles; readonly version: number } | undefined;
  let isNoteMissing = false;
  const guard = createTableGuard({ nft, elements }, changes);
  const opponent = createOpponent(tableWriters, log);
  const noticeInterfaces = createInterfaceNotices(log);
  const finder = createHostFinder(instance, log);

  const know = (news: Partial<Enforcement>): void => {
    known = { ...known, ...news };
  };

  const bootScript = createBootScript({ lastGood, nft, saving: (step) => saving(step), log });

  const lookAtPolicy = async (): Promise<void> => {
    const found = await looks.look();
    const { loaded } = found;
    files = found.files;
    onFiles(files);
    const { lookAgain, isSettling, proof } = found;
    awaited = { lookAgain, isSettling, proof, isUndecided: found.kind === 'wait' || found.kind === 'proving' };
    noteWaiting(settling.waiting());
    if (proof !== undefined && proof !== lastProof)
      log.info('what the policy asserts is being proved; what is in force stays meanwhile');
    lastProof = proof;
    if (awaited.isUndecided) return;
    isUntrusted = loaded.isUntrusted;
    if (found.kind === 'invalid') {
      refuse(loaded.diagnostics, loaded.sources);
      return;
    }
    if (known.refusal !== undefined && !isOfApplying(known.refusal)) log.info('the policy file is valid again');
    const refusal = known.refusal !== undefined && isOfApplying(known.refusal) ? known.refusal : undefined;
    tellWarnings(loaded.diagnostics, known.warnings);
    know({ policy: loaded.policy, files: loaded, warnings: loaded.diagnostics, refusal, cleared: false });
    await unpinIfChanged(loaded);
  };

  const noteWaiting = (waiting: readonly WaitingFile[]): void => {
    for (const { file, reason } of waiting) {
      const isNew = known.waiting.every((one) => one.file !== file || one.reason !== reason);
      if (isNew) log.info({ file, reason }, `waiting for ${file}: ${WHY_WAITING[reason]}`);
    }
    know({ waiting });
  };

  const tellWarnings = (now: readonly Diagnostic[], before: readonly Diagnostic[]): void => {
    const told = new Set(before.map((one) => JSON.stringify(one)));
    const news = now.filter((one) => !told.has(JSON.stringify(one)));
    for (const { span, code, message, help } of news.slice(0, MAX_LOGGED_WARNINGS)) {
      const { file, line, column } = span;
      log.warn({ file, line, column, code, help }, `policy: ${file}:${line}:${column}: ${message}`);
    }
    const more = news.length - MAX_LOGGED_WARNINGS;
    if (more > 0) log.warn(`policy: ${more} more warnings: sgctl status lists them`);
  };

  /** What is pinned gives way to files that say something new, and to files that say the same. */
  const unpinIfChanged = async (loaded: LoadedPolicy): Promise<void> => {
    const held = known.held?.policy;
    if (held?.kind !== 'pinned') return;
    const identity = identityOf(loaded);
    const isSame = identity === identityOfTexts(held.texts);
    if (identity === held.files && !isSame) return;
    await unpin(
      isSame ? 'the policy file says what is in force again' : 'the policy file changed, and is in force again',
    );
  };

  const unpin = async (why: string): Promise<void> => {
    know({ held: undefined });
    await saving(() => heldFile.write(undefined));
    log.info(why);
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
    know({ fight: opponent.fight() });
    // After a failure nobody knows what is there, and what is found then is nobody's drift.
    const isKnown = kernelRead && known.appliedAt !== undefined && known.inForce?.contentHash !== 'unknown';
    const expected = isKnown && !known.cleared ? known.inForce : undefined;
    const { found, is, generations } = await guard.look(expected);
    kernelRead = true;
    if (is === 'same') return;
    // What was not left there by us may have been made again since.
    isTableNew = true;
    if (expected === undefined) {
      know({ inForce: found });
      return;
    }
    if (is === 'unsure' && found !== undefined) {
      log.debug('somebody changed a table while we changed ours: it is made anew, to be sure of it');
      know({ inForce: notOurs(found) });
      return;
    }
    const by = opponent.note(generations);
    const byWhom = by.length === 0 ? '' : `: ${by.join(', ')}`;
    log.warn({ found: found?.contentHash ?? 'no table', by }, `somebody changed our table${byWhom}; putting it right`);
    // The content hash is what we left there, and not what others made of the rest.
    const there = found ?? (await putBack());
    const inForce = there === undefined ? undefined : notOurs(there);
    know({ mended: known.mended + 1, inForce, fight: opponent.fight() });
  };

  /** Closes a host again that stands open, by what is on disk; the change that follows makes it a table that we know. */
  const putBack = async (): Promise<InForce | undefined> => {
    if (isTrying() || bootScript.isStale()) return undefined;
    try {
      return (await bootScript.load()) ? (await guard.look(undefined)).found : undefined;
    } catch (error) {
      log.warn({ err: error }, 'the last good script could not be put back; a new one is made');
      return undefined;
    }
  };

  /** A host that starts with a policy full of mistakes must not stand open for it. */
  const loadLastGood = async (): Promise<void> => {
    if (isLastGoodMissing) return;
    isLastGoodMissing = !(await bootScript.load());
    if (isLastGoodMissing) {
      if (!isWaitedFor()) log.error('there is no valid policy and no last good one');
      return;
    }
    const why = isWaitedFor() ? 'the policy is being written' : 'there is no valid policy';
    log.warn(`${why}: the rules that were last in force are loaded`);
    await lookAtLoaded();
  };

  /**
   * Who can exchange a policy file must not choose between it and no rules at all. A mistake in the first policy changes
   * nothing, as any other.
   */
  const limit = async (): Promise<void> => {
    const { host } = known;
    if (host === undefined || bootConf.isOpen) return;
    await nft.run(planLimited(host, bootConf.sshPorts, hashContent));
    log.warn(
      'users other than root can change the policy: until it can be trusted, ssh is allowed in and everything out',
    );
    await lookAtLoaded();
  };

  const lookAtLoaded = async (): Promise<void> => {
    await lookAtKernel();
    if (known.inForce === undefined) throw new Error('rules were loaded, and are gone again');
  };

  /** With nothing in force that could stay so meanwhile, a host is better off with what the files say now. */
  const takeAsItIs = async (): Promise<void> => {
    log.warn('the policy is being written, and there is no last good one: it is taken as it is');
    settling.accept();
    await lookAtPolicy();
  };

  const isWaitedFor = (): boolean => known.waiting.some(({ isNeeded }) => isNeeded);

  const enforce = async (forced: boolean): Promise<void> => {
    const { held, host, cleared } = known;
    const policy = held === undefined ? known.policy : held.loaded.policy;
    if (policy === undefined || host === undefined || cleared) return;
    const located = finder.find(policy, host, forced);
    know({ hostDoubt: finder.doubt() });
    if (located.kind === 'absent') {
      // A mistake in newer files is the newer news.
      if (known.refusal !== undefined && !isOfApplying(known.refusal)) return;
      const { message, help } = located;
      const span = { file: files[0] ?? '', line: 1, column: 1, endLine: 1, endColumn: 1 };
      const diagnostic = { code: 'host-not-in-policy', severity: 'error', message, span, related: [], help } as const;
      const milliseconds = looks.settlesIn();
      if (milliseconds > 0) {
        awaited = {
          ...awaited,
          lookAgain: Math.min(milliseconds, awaited.lookAgain ?? milliseconds),
          isSettling: true,
        };
      } else refuse([diagnostic], new Map());
      return;
    }
    const isBeginning = known.inForce === undefined;
    const began = performance.now();
    const planned = planChange(located.hostPolicy, await beginning(forced), hashContent);
    const unsaved = bootScript.isStale() && !isTrying();
    if (planned.change.kind !== 'none' || known.appliedAt === undefined || unsaved)
      await bringAbout(planned, located.hostPolicy);
    const before = known.hostPolicy;
    const isChanged = planned.change.kind !== 'none' || known.appliedAt === undefined;
    const logChange = inForceNow(located.hostPolicy, planned, performance.now() - began);
    // Sockets that came while the rules did.
    if (isBeginning) await seed();
    noticeInterfaces(located.hostPolicy, host);
    // A process that begins knows of no look: an earlier one may have ended between a change and its look.
    const earlier = before === undefined ? await beforeThisProcess(host) : [before];
    const recording = record(located.hostPolicy.instance);
    if (isChanged) {
      const texts = textsInForce(known);
      cutting.after({
        before: earlier,
        isBeforeKnown: before !== undefined,
        after: located.hostPolicy,
        interfaces: host.interfaces,
        isTableNew,
        onJudged: async () => noteJudged(texts, await recording),
      });
      isTableNew = false;
    }
    await recording;
    logChange(known.version);
  };

  const beforeThisProcess = async (host: HostState): Promise<readonly HostPolicy[]> => {
    const { filesInForce } = known;
    if (filesInForce === undefined) return [];
    try {
      return await policiesBefore(await history.sinceJudged(), {
        identity: identityOf(filesInForce),
        host,
        pause: giveWay,
      });
    } catch (error) {
      log.warn(
        { err: error },
        'the policy that was in force before cannot be read: which flows it let in is not known',
      );
      return [];
    }
  };

  const noteJudged = async (texts: PolicyTexts | undefined, version: number | undefined): Promise<void> => {
    if (texts === undefined) return;
    try {
      await history.noteJudged(texts, version);
      isNoteMissing = false;
    } catch (error) {
      if (!isNoteMissing)
        log.warn({ err: error }, 'that live flows were judged cannot be kept: the next start judges them once more');
      isNoteMissing = true;
    }
  };

  const beginning = async (forced: boolean): Promise<Before> => {
    const { inForce } = known;
    if (inForce === undefined) return (await isTracking()) ? undefined : 'untracked';
    return forced ? notOurs(inForce) : inForce;
  };

  const bringAbout = async (rendered: RenderedChange, hostPolicy: HostPolicy): Promise<void> => {
    const { change } = rendered;
    // What is tried is no last good one: a machine that restarts begins with what was in force before.
    if (isTrying()) {
      await guard.apply(change, amid(undefined));
      bootScript.leaveBehind();
      return;
    }
    const keeping = bootScript.keep(rendered, () => planFallback(hostPolicy, bootConf.sshPorts, hashContent));
    const isFirst = change.kind === 'elements' || change.kind === 'none';
    if (isFirst) await keeping.before();
    await guard.apply(change, amid(isFirst ? undefined : () => keeping.before()));
    await keeping.after();
  };

  /** What is done amid a change that brings conntrack in. */
  const amid = (beforeLast: (() => Promise<void>) | undefined): Meanwhile => ({
    beforeLast,
    // INVARIANT: conntrack knows who opened what is live before rules judge it, or it takes who speaks first for the opener.
    aheadOfLast: known.inForce === undefined ? seed : undefined,
  });

  const seed = (): Promise<void> => cutting.seed(known.host?.interfaces ?? []);

  const isTrying = (): boolean => known.held?.policy.kind === 'tried';

  /** Keeps what came into force for good among the policies that were. Returns the number of the newest that is kept, if known. */
  const record = async (instanceName: string): Promise<number | undefined> => {
    const { filesInForce, held } = known;
    const isKept = filesInForce !== undefined && held?.policy.kind !== 'tried';
    if (isKept && filesInForce !== recorded?.files) {
      const { origin, of } = held?.policy ?? { origin: 'file' as const, of: null };
      await saving(async () => {
        const version = await history.record(policyTexts(filesInForce, instanceName), { origin, of });
        recorded = { files: filesInForce, version };
      });
    }
    know({ version: isKept && filesInForce === recorded?.files ? recorded?.version : undefined });
    return recorded?.version;
  };

  /** Returns what logs it, once its version is known. */
  const inForceNow = (
    hostPolicy: HostPolicy,
    { change }: RenderedChange,
    milliseconds: number,
  ): ((version: number | undefined) => void) => {
    const first = known.appliedAt === undefined;
    const changed = change.kind !== 'none';
    know({
      inForce: change.next,
      hostPolicy,
      filesInForce: known.held?.loaded ?? known.files,
      kernelTrouble: undefined,
      refusal: known.refusal !== undefined && isOfApplying(known.refusal) ? undefined : known.refusal,
      appliedAt: changed || first ? new Date() : known.appliedAt,
      applied: known.applied + (changed ? 1 : 0),
    });
    if (!changed && !first) return () => undefined;
    const { generation, rendered } = change.next;
    const event = { generation, change: change.kind, instance: hostPolicy.instance, rules: rendered?.rules };
    const taken = Math.round(milliseconds);
    return (version) => log.info({ version, ...event, milliseconds: taken }, WHAT_HAPPENED[change.kind]);
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
    await guard.apply(change);
    know({ inForce: change.next });
  };

  return {
    async run(dirt, forced) {
      awaited = NOTHING_AWAITED;
      const appliedBefore = known.applied;
      try {
        if (dirt.has('policy')) await lookAtPolicy();
        if (forced && known.held?.policy.kind === 'pinned' && !awaited.isUndecided && known.refusal === undefined)
          await unpin('a reload was asked for: the policy file is in force again');
        if (dirt.has('host') || known.host === undefined) know({ host: await readHost() });
        if (dirt.has('kernel') || !kernelRead) await lookAtKernel();
        // What others made of our table is no better than nothing.
        const isLost = known.inForce === undefined || known.inForce.contentHash === 'unknown';
        const nobodyKnows = known.policy === undefined && known.held === undefined;
        if (nobodyKnows && isLost && !known.cleared) await loadLastGood();
        if (nobodyKnows && isLastGoodMissing && isWaitedFor()) await takeAsItIs();
        if (isUntrusted && isLastGoodMissing && known.inForce === undefined && !known.cleared) await limit();
        // A policy with mistakes changes nothing, be it for a table that means the same.
        await enforce(forced && !awaited.isUndecided && known.refusal === undefined);
        return { failed: false, ...awaited, changed: known.applied !== appliedBefore };
      } catch (error) {
        fail(error);
        return { failed: true, ...awaited, changed: false };
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
        if (await flowLabels.free(ALL_JUDGE_LABELS)) await relabel(renderLabels(inForce, { cleared: true }));
      } catch (error) {
        log.warn({ err: error }, 'labels of flows: trouble; live flows are judged by each packet meanwhile');
        // What was refused has changed nothing: should anything be other than we know, somebody else did it.
        if (!(error instanceof NftError && error.failure === 'refused')) kernelRead = false;
      }
      return false;
    },
    amend: (write) => guard.amend(write),
    async clear() {
      await nft.run(clearScript(TABLE));
      cutting.forget();
      await saving(() => heldFile.write(undefined));
      know({ inForce: undefined, hostPolicy: undefined, filesInForce: undefined, held: undefined, cleared: true });
      know({ version: undefined });
      log.warn('firewall off on request; the rules return when the policy changes, on SIGHUP or at a restart');
    },
    hold: (held) => know({ held, ...(held === undefined ? {} : { cleared: false }) }),
    isOvertaken: (generation) => guard.isOvertaken(generation),
    patience: () => opponent.patience(),
    known: () => known,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
