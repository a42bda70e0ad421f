import type { LoadedPolicy } from '../load-policy.ts';
import type { PolicyProver } from './policy-prover.ts';

/**
 * What a look at the policy's files found. `wait`: they may be half written, and are to be looked at again so many
 * milliseconds later; `proving`: what they assert is being proved, and they are to be looked at again when that is done.
 */
export type PolicyLook =
  | { readonly kind: 'wait'; readonly milliseconds: number; readonly loaded: LoadedPolicy }
  | { readonly kind: 'proving'; readonly done: Promise<void>; readonly loaded: LoadedPolicy }
  | { readonly kind: 'valid'; readonly loaded: LoadedPolicy }
  | { readonly kind: 'invalid'; readonly loaded: LoadedPolicy };

/** A file that may be half written is taken as it is when it has been so for this time. */
const SETTLED_AFTER_MILLISECONDS = 250;

/** Looks at the files again and again. */
export interface PolicyLooks {
  look(): Promise<PolicyLook>;
  /** How many milliseconds the files still have to stay as they were at the last look, for what is in them to be meant; 0 if they have. */
  settlesIn(): number;
}

interface Current {
  readonly loaded: LoadedPolicy;
  readonly since: number;
  readonly unfinished: boolean;
  readonly abandoned: AbortController;
  /** With what a proof says; undefined until one is asked for. */
  proved: LoadedPolicy | Promise<void> | undefined;
}

/** Looks at what `load` reads, and has `prover` prove it. */
export function createPolicyLooks(load: () => Promise<LoadedPolicy>, prover: Pick<PolicyProver, 'prove'>): PolicyLooks {
  let current: Current | undefined;
  let taken: LoadedPolicy | undefined;
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
        current = {
          loaded,
          since: performance.now(),
          unfinished: isUnfinished(loaded, taken),
          abandoned: new AbortController(),
          proved: undefined,
        };
      }
      const milliseconds = settlesIn();
      if (current.unfinished && milliseconds > 0) return { kind: 'wait', milliseconds, loaded };
      taken = loaded;
      const proved = prove(current);
      if (proved instanceof Promise) return { kind: 'proving', done: proved, loaded };
      if (proved.policy !== undefined) return { kind: 'valid', loaded: proved };
      // A policy with mistakes may be half written: it is refused when it has been so for a while.
      return milliseconds > 0 ? { kind: 'wait', milliseconds, loaded: proved } : { kind: 'invalid', loaded: proved };
    },
    settlesIn,
  };
}

/** Whether a file that is not as it was `taken` last is empty or ends amid a line: cut there, it may say what nobody means. */
function isUnfinished(loaded: LoadedPolicy, taken: LoadedPolicy | undefined): boolean {
  return [...loaded.sources].some(([file, text]) => !text.endsWith('\n') && taken?.sources.get(file) !== text);
}
