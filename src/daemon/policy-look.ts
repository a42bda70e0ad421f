import type { Settling } from '../host/settling.ts';
import type { LoadedPolicy } from '../load-policy.ts';
import type { PolicyProver } from './policy-prover.ts';

/**
 * What a look at the policy's files found. `wait`: they are being written, or may be half saved; `proving`: what they
 * assert is being proved. Until that is over, what is in force is not to change.
 */
export interface PolicyLook {
  readonly kind: 'wait' | 'proving' | 'valid' | 'invalid';
  readonly loaded: LoadedPolicy;
  /** In so many milliseconds they are to be looked at again, changed or not; undefined where nothing is waited for. */
  readonly lookAgain: number | undefined;
  /** Whether what is waited for comes by itself, with time. */
  readonly isSettling: boolean;
  /** When it ends, they are to be looked at again. */
  readonly proof: Promise<void> | undefined;
}

/** A policy with mistakes may be half saved, with a file still to come: it is refused when it has been so for this time. */
const SETTLED_AFTER_MILLISECONDS = 250;

/** Looks at the files again and again. */
export interface PolicyLooks {
  look(): Promise<PolicyLook>;
  /** How many milliseconds the files still have to stay as they were at the last look, for what is in them to be meant; 0 if they have. */
  settlesIn(): number;
}

/** What looks are made with. */
export interface PolicyLooksOptions {
  readonly load: () => Promise<LoadedPolicy>;
  /** Holds back from `load` what is being written. */
  readonly settling: Pick<Settling, 'waiting'>;
  readonly prover: Pick<PolicyProver, 'prove'>;
}

interface Current {
  readonly loaded: LoadedPolicy;
  readonly since: number;
  readonly abandoned: AbortController;
  /** With what a proof says; undefined until one is asked for. */
  proved: LoadedPolicy | Promise<void> | undefined;
}

/** Looks at what `load` reads, and has `prover` prove it. */
export function createPolicyLooks({ load, settling, prover }: PolicyLooksOptions): PolicyLooks {
  let current: Current | undefined;
  const settlesIn = (): number => Math.max(0, (current?.since ?? 0) + SETTLED_AFTER_MILLISECONDS - performance.now());
  const prove = (of: Current): LoadedPolicy | Promise<void> => {
    if (of.proved !== undefined) return of.proved;
    const proof = prover.prove(of.loaded, of.abandoned.signal);
    of.proved =
      proof instanceof Promise
        ? proof.then((proved) => {
            of.proved = proved;
          })
        : proof;
    return of.proved;
  };
  return {
    async look() {
      const loaded = await load();
      if (current?.loaded !== loaded) {
        current?.abandoned.abort();
        current = { loaded, since: performance.now(), abandoned: new AbortController(), proved: undefined };
      }
      const waiting = settling.waiting();
      const times = waiting.map(({ lookAgain }) => lookAgain);
      const isSettling = waiting.some(({ until }) => until !== undefined);
      const awaited = { lookAgain: times.length === 0 ? undefined : Math.min(...times), isSettling, proof: undefined };
      if (waiting.some(({ isNeeded }) => isNeeded)) return { kind: 'wait', loaded, ...awaited };
      const proved = prove(current);
      if (proved instanceof Promise) return { kind: 'proving', loaded, ...awaited, proof: proved };
      if (proved.policy !== undefined) return { kind: 'valid', loaded: proved, ...awaited };
      const milliseconds = settlesIn();
      if (milliseconds === 0) return { kind: 'invalid', loaded: proved, ...awaited };
      return {
        ...awaited,
        kind: 'wait',
        loaded: proved,
        lookAgain: Math.min(milliseconds, ...times),
        isSettling: true,
      };
    },
    settlesIn,
  };
}
