import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { Settling } from '#host/files/settling.ts';
import type { PolicyProver } from './policy-prover.ts';

/**
 * What a look at the policy's files found. `wait`: they are being written, or may be half saved; `proving`: what they
 * assert is being proved. Until that is over, what is in force is not to change.
 */
export interface PolicySnapshot {
  readonly kind: 'wait' | 'proving' | 'valid' | 'invalid';
  /** What is valid or invalid: what the files say, or said when a proof began that has ended since. */
  readonly loaded: LoadedPolicy;
  /** The files that the policy consists of now. */
  readonly files: readonly string[];
  /** After this many milliseconds the files need another look, changed or not; undefined where nothing is waited for. */
  readonly lookAgain: number | undefined;
  /** Whether what is waited for comes by itself, with time. */
  readonly isSettling: boolean;
  /** When it ends, the files need another look. */
  readonly proof: Promise<void> | undefined;
  /** By `performance.now()`: from then on the files have rested long enough for what is in them to be meant. */
  readonly settleAt: number;
}

/** A policy with mistakes may be half saved, with a file still to come: it is refused once it has been so for this time. */
const SETTLED_AFTER_MILLISECONDS = 250;

/** Files that never rest are refused when they have had mistakes, one or another, for this time. */
export const MAX_UNSETTLED_MILLISECONDS = 5_000;

/**
 * Whoever corrects a policy while it is proved does not want the uncorrected one in force, so a newer text replaces the
 * one that is being proved. Lists that a program writes all the time would then keep everything out of force: after this
 * many replacements a proof runs to its end.
 */
export const MAX_REPLACED_PROOFS = 2;

/** Looks at the files again and again. */
export interface PolicySnapshots {
  look(): Promise<PolicySnapshot>;
}

/** What looks are made with. */
export interface PolicySnapshotsOptions {
  readonly load: () => Promise<LoadedPolicy>;
  /** Holds back from `load` what is being written. */
  readonly settling: Pick<Settling, 'waiting'>;
  readonly prover: Pick<PolicyProver, 'prove'>;
}

/** What the files said at one time. */
interface Version {
  readonly loaded: LoadedPolicy;
  readonly since: number;
  readonly abandoned: AbortController;
  /** With what a proof says; undefined until one is asked for. */
  proved: LoadedPolicy | Promise<void> | undefined;
}

type Outcome = Omit<PolicySnapshot, 'files' | 'settleAt'>;

/** Looks at what `load` reads, and has `prover` prove it. */
export function createPolicySnapshots({ load, settling, prover }: PolicySnapshotsOptions): PolicySnapshots {
  let newest: Version | undefined;
  /** What is being proved, which is the newest or, after enough replacements, an older one. */
  let underProof: Version | undefined;
  let replaced = 0;
  let mistakenSince: number | undefined;

  const prove = (of: Version): LoadedPolicy | Promise<void> => {
    if (of.proved !== undefined) return of.proved;
    const proof = prover.prove(of.loaded, of.abandoned.signal);
    if (!(proof instanceof Promise)) {
      of.proved = proof;
      return proof;
    }
    // INVARIANT: one proof at a time, each being a thread with a heap of its own.
    underProof = of;
    of.proved = proof.then((proved) => {
      of.proved = proved;
    });
    return of.proved;
  };

  /** How many milliseconds a mistake may still be that of a half-saved policy. */
  const patience = (version: Version): number => {
    const now = performance.now();
    mistakenSince ??= now;
    return Math.max(0, Math.min(settleAt(version), mistakenSince + MAX_UNSETTLED_MILLISECONDS) - now);
  };

  const lookAt = (version: Version): Outcome => {
    const { loaded } = version;
    const waiting = settling.waiting();
    const times = waiting.map(({ lookAgain }) => lookAgain);
    const isSettling = waiting.some(({ until }) => until !== undefined);
    const awaited = { lookAgain: times.length === 0 ? undefined : Math.min(...times), isSettling, proof: undefined };
    if (waiting.some(({ isNeeded }) => isNeeded)) return { kind: 'wait', loaded, ...awaited };
    const proved = prove(version);
    if (proved instanceof Promise) return { kind: 'proving', loaded, ...awaited, proof: proved };
    if (proved.policy !== undefined) {
      mistakenSince = undefined;
      return { kind: 'valid', loaded: proved, ...awaited };
    }
    const milliseconds = patience(version);
    if (milliseconds === 0) return { kind: 'invalid', loaded: proved, ...awaited };
    return {
      ...awaited,
      kind: 'wait',
      loaded: proved,
      lookAgain: Math.min(milliseconds, ...times),
      isSettling: true,
    };
  };

  /** What the proof of an older text has come to, or the proof that is to end first. */
  const older = (): LoadedPolicy | Promise<void> | undefined => {
    const version = underProof;
    if (version?.proved === undefined) return undefined;
    if (version.proved instanceof Promise) {
      if (version === newest) return undefined;
      if (replaced >= MAX_REPLACED_PROOFS) return version.proved;
      version.abandoned.abort();
      underProof = undefined;
      replaced += 1;
      return undefined;
    }
    underProof = undefined;
    replaced = 0;
    return version === newest ? undefined : version.proved;
  };

  return {
    async look() {
      const loaded = await load();
      if (newest?.loaded !== loaded)
        newest = { loaded, since: performance.now(), abandoned: new AbortController(), proved: undefined };
      const { files } = loaded;
      const named = { files, settleAt: settleAt(newest) };
      const proved = older();
      if (proved instanceof Promise)
        return { kind: 'proving', loaded, ...named, lookAgain: undefined, isSettling: false, proof: proved };
      const now = lookAt(newest);
      const isNewerToTake = now.kind === 'valid' || (now.kind === 'invalid' && proved?.policy === undefined);
      if (proved === undefined || isNewerToTake) return { ...now, ...named };
      const next = now.kind === 'invalid' ? { lookAgain: 0, isSettling: true } : {};
      return { ...now, ...next, kind: proved.policy === undefined ? 'invalid' : 'valid', loaded: proved, ...named };
    },
  };
}

function settleAt({ since }: Version): number {
  return since + SETTLED_AFTER_MILLISECONDS;
}
