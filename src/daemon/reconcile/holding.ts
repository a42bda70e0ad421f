import type { Logger } from 'pino';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import type { OverrideFile } from '#host/state/override-file.ts';
import type { History } from '#host/state/history.ts';
import { identityOfTexts, readerOfTexts } from '#host/files/policy-texts.ts';
import { deadlineIn, secondsLeft } from '#host/state/uptime.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { HeldPolicy, PinnedPolicy, TriedPolicy } from '#core/model/policy/held-policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { type Enforcement, type Held, identityOf, textsInForce } from './enforcement.ts';
import type { PolicyProver } from './policy-prover.ts';

/** What was asked for cannot be done, and nothing was changed; the message is for who asked. */
export class HoldingRefused extends Error {
  override readonly name = 'HoldingRefused';
}

/** What holding a policy works with. */
export interface HoldingOptions {
  /** Runs `work` while nothing else changes the kernel. */
  readonly exclusively: <T>(work: (loop: HoldingLoop) => Promise<T>) => Promise<T>;
  readonly heldFile: OverrideFile;
  readonly history: History;
  readonly prover: Pick<PolicyProver, 'prove'>;
  readonly log: Logger;
}

/** What of the one loop it uses, inside it. */
export interface HoldingLoop {
  known(): Enforcement;
  hold(held: Held | undefined): void;
  /** Brings about what is to be in force; what fails is tried again later. Returns whether it is in force. */
  bringAbout(): Promise<boolean>;
}

/** Policies that are in force in place of what the files say: tried ones, and ones that were gone back to. */
export interface Holding {
  /** Goes on with what an earlier run of the daemon held. */
  resume(): Promise<void>;
  /**
   * Brings a policy into force until it is confirmed, or for so many seconds. `file` is what is tried, where the texts
   * have another name for it. Throws HoldingRefused.
   */
  tryOut(texts: PolicyTexts, seconds: number, file?: string): Promise<void>;
  /** Has what is tried stay in force. Throws HoldingRefused. */
  confirm(): Promise<Confirmed>;
  /** Ends a trial; else, or with a version, brings an earlier policy into force. Throws HoldingRefused. */
  rollback(version: number | undefined): Promise<void>;
  /** Ends a trial, and does nothing where there is none: its time may have been over a moment ago. */
  endTrial(): Promise<void>;
  /** Ends a trial, for the daemon ends: nobody would be there to do it later. */
  close(): Promise<void>;
}

/** What was confirmed, and what the policy's files said then. */
export interface Confirmed {
  readonly policy: PolicyTexts;
  /** Identifies it. */
  readonly files: string;
}

/** The timer may not tell the time that a machine sleeps, so it asks. */
const LONGEST_SLEEP_SECONDS = 5;

/** Holds nothing yet. */
export function createHolding({ exclusively, heldFile, history, prover, log }: HoldingOptions): Holding {
  let timer: NodeJS.Timeout | undefined;

  const endLater = async (tried: TriedPolicy): Promise<void> => {
    clearTimeout(timer);
    const left = await secondsLeft(tried.deadline);
    const isLast = left <= LONGEST_SLEEP_SECONDS;
    timer = setTimeout(
      () => void (isLast ? endTrial(tried) : endLater(tried)),
      (isLast ? left : LONGEST_SLEEP_SECONDS) * 1000,
    );
  };

  const endTrial = (tried: TriedPolicy): Promise<void> =>
    exclusively(async (loop) => {
      if (loop.known().held?.policy !== tried) return;
      log.warn('the trial was not confirmed in time: the policy before returns');
      await goBack(loop, tried);
    }).catch((error: unknown) => {
      log.error({ err: error }, 'the policy before the trial cannot be brought back');
    });

  const endAnyTrial = (why: string): Promise<void> =>
    exclusively(async (loop) => {
      const held = loop.known().held?.policy;
      if (held?.kind !== 'tried') return;
      log.warn(why);
      await goBack(loop, held);
    });

  const goBack = async (loop: HoldingLoop, tried: TriedPolicy): Promise<void> => {
    clearTimeout(timer);
    await pin(loop, pinOf(tried));
    await loop.bringAbout();
  };

  /** Pins a policy, or, where the files say the same or something new, has them decide. */
  const pin = async (loop: HoldingLoop, pinned: PinnedPolicy): Promise<void> => {
    const { files } = loop.known();
    const identity = files === undefined ? undefined : identityOf(files);
    const isFiles = identity !== undefined && (identity !== pinned.files || identity === identityOfTexts(pinned.texts));
    const held = isFiles ? undefined : await load(pinned);
    // Where it cannot be written now, the trial that is written has its time over, and is ended at a restart.
    await heldFile.write(held?.policy).catch((error: unknown) => {
      log.error({ err: error }, 'which policy is in force cannot be kept for a restart');
    });
    loop.hold(held);
  };

  /** What was in force once was proved then: going back waits for no proof. */
  const load = async (policy: HeldPolicy): Promise<Held> => heldOf(policy, await readTexts(policy.texts));

  const heldOf = (policy: HeldPolicy, loaded: LoadedPolicy): Held => {
    if (loaded.policy === undefined) {
      const errors = loaded.diagnostics.filter(({ severity }) => severity === 'error');
      const shown = errors.map((one) => formatDiagnostic(one, (file) => loaded.sources.get(file)));
      throw new HoldingRefused(`the policy has mistakes, and nothing changes\n${shown.join('\n')}`);
    }
    return { policy, loaded, since: new Date() };
  };

  /** Brings a policy into force in place of what is there, or throws and leaves that in force. */
  const replace = async (loop: HoldingLoop, held: Held): Promise<void> => {
    const before = loop.known().held;
    // INVARIANT: how to go back is on disk before anything changes.
    await heldFile.write(held.policy).catch((error: unknown) => {
      throw new HoldingRefused(
        `nothing changes, for a restart could not go back: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
    loop.hold(held);
    if (await loop.bringAbout()) return;
    const { refusal, kernelTrouble } = loop.known();
    const why = refusal?.diagnostics[0]?.message ?? kernelTrouble?.message ?? 'it could not be brought into force';
    loop.hold(before);
    await heldFile.write(before?.policy).catch(() => undefined);
    await loop.bringAbout();
    throw new HoldingRefused(`nothing changes: ${why}`);
  };

  return {
    async resume() {
      const held = await heldFile.read().catch((error: unknown) => {
        log.error({ err: error }, 'which policy was on trial or pinned is not known: the policy file is in force');
        return undefined;
      });
      if (held === undefined) return;
      await exclusively(async (loop) => {
        if (held.kind === 'tried' && (await secondsLeft(held.deadline)) > 0) {
          loop.hold(await load(held));
          await endLater(held);
          return;
        }
        if (held.kind === 'tried') log.warn('the trial was not confirmed: the policy before returns');
        await pin(loop, held.kind === 'tried' ? pinOf(held) : held);
      }).catch((error: unknown) => {
        log.error({ err: error }, 'the policy that was in force cannot be read: the policy file is in force');
      });
    },
    async tryOut(texts, seconds, file) {
      // INVARIANT: proofs are waited for before the loop is held up, so that it goes on putting things right.
      const proved = await prover.prove(await readTexts(texts));
      await exclusively(async (loop) => {
        const known = loop.known();
        if (known.held?.policy.kind === 'tried')
          throw new HoldingRefused('another policy is being tried: sgctl confirm keeps it, sgctl rollback ends it');
        const before = textsInForce(known);
        if (before === undefined || known.files === undefined)
          throw new HoldingRefused(
            'nothing is in force that could be gone back to: put a valid policy into the policy file first',
          );
        if (known.kernelTrouble !== undefined)
          throw new HoldingRefused(`going back could fail as well: ${known.kernelTrouble.message}`);
        const deadline = await deadlineIn(seconds);
        if (deadline === undefined)
          throw new HoldingRefused('/proc/sys/kernel/random/boot_id cannot be read, so a reboot could not go back');
        const tried = { kind: 'tried', texts, file, before, files: identityOf(known.files), deadline } as const;
        await replace(loop, heldOf(tried, proved));
        log.warn({ seconds }, 'a policy is on trial: the policy before returns unless it is confirmed');
        await endLater(tried);
      });
    },
    confirm: () =>
      exclusively(async (loop) => {
        const { held, files } = loop.known();
        if (held?.policy.kind !== 'tried') throw new HoldingRefused('no policy is being tried');
        const tried = held.policy;
        if (
          files !== undefined &&
          identityOf(files) !== tried.files &&
          identityOf(files) !== identityOfTexts(tried.texts)
        )
          throw new HoldingRefused(
            'the policy file was changed while another policy was tried, and would overrule it: put the two together in the policy file; what is tried goes back when its time is up',
          );
        const { texts, files: seen } = tried;
        const pinned: Held = { ...held, policy: { kind: 'pinned', texts, files: seen, origin: 'try', of: null } };
        await heldFile.write(pinned.policy);
        clearTimeout(timer);
        loop.hold(pinned);
        log.info('the policy on trial is confirmed');
        await loop.bringAbout();
        return { policy: texts, files: seen };
      }),
    rollback: (number) =>
      exclusively(async (loop) => {
        const known = loop.known();
        if (known.held?.policy.kind === 'tried') {
          if (number !== undefined)
            throw new HoldingRefused('a policy is being tried: sgctl rollback without a version ends that first');
          log.warn('a trial has ended on request: the policy before returns');
          await goBack(loop, known.held.policy);
          return;
        }
        if (known.files === undefined)
          throw new HoldingRefused(
            'the policy file has not been valid since the daemon started: nothing tells when it changes',
          );
        const version = number ?? (await versionBefore(known, history));
        if (version === undefined) throw new HoldingRefused('there is no earlier policy to go back to: sgctl history');
        const kept = await history.read(version);
        if (kept === undefined) throw new HoldingRefused(`there is no version ${version}: see sgctl history`);
        const files = identityOf(known.files);
        if (kept.identity === files) {
          loop.hold(undefined);
          await heldFile.write(undefined);
          await loop.bringAbout();
          return;
        }
        await replace(loop, await load({ kind: 'pinned', texts: kept.texts, files, origin: 'rollback', of: version }));
        log.warn({ version }, 'an earlier policy is in force, until the policy file changes');
      }),
    endTrial: () => endAnyTrial('a trial has ended on request: the policy before returns'),
    async close() {
      clearTimeout(timer);
      await endAnyTrial('the daemon ends amid a trial: what was in force before comes back now');
    },
  };
}

function readTexts(texts: PolicyTexts): Promise<LoadedPolicy> {
  return createPolicyLoader(readerOfTexts(texts))();
}

/** What was in force before a trial, pinned. */
function pinOf({ before, files }: TriedPolicy): PinnedPolicy {
  return { kind: 'pinned', texts: before, files, origin: 'rollback', of: null };
}

/** The version before the one in force; going back from a version that was gone back to goes further. */
async function versionBefore(known: Enforcement, history: History): Promise<number | undefined> {
  const inForce = textsInForce(known);
  if (inForce === undefined) return undefined;
  const versions = await history.list();
  const identity = identityOfTexts(inForce);
  const current = versions.find((version) => version.identity === identity);
  const from = current?.of ?? current?.number ?? Number.POSITIVE_INFINITY;
  return versions.find((version) => version.number < from && version.identity !== identity)?.number;
}
