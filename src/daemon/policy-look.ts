import type { LoadedPolicy } from '../load-policy.ts';

/** What a look at the policy's files found. `wait`: they may be half written, and are to be looked at again so many milliseconds later. */
export type PolicyLook =
  | { readonly kind: 'wait'; readonly milliseconds: number; readonly loaded: LoadedPolicy }
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

/** Looks at what `load` reads. */
export function createPolicyLooks(load: () => Promise<LoadedPolicy>): PolicyLooks {
  let current: { readonly loaded: LoadedPolicy; readonly since: number; readonly unfinished: boolean } | undefined;
  let taken: LoadedPolicy | undefined;
  const settlesIn = (): number => Math.max(0, (current?.since ?? 0) + SETTLED_AFTER_MILLISECONDS - performance.now());
  return {
    async look() {
      const loaded = await load();
      if (current?.loaded !== loaded) {
        current = { loaded, since: performance.now(), unfinished: isUnfinished(loaded, taken) };
      }
      const milliseconds = settlesIn();
      if (current.unfinished && milliseconds > 0) return { kind: 'wait', milliseconds, loaded };
      taken = loaded;
      if (loaded.policy !== undefined) return { kind: 'valid', loaded };
      // A policy with mistakes may be half written: it is refused when it has been so for a while.
      return milliseconds > 0 ? { kind: 'wait', milliseconds, loaded } : { kind: 'invalid', loaded };
    },
    settlesIn,
  };
}

/** Whether a file that is not as it was `taken` last is empty or ends amid a line: cut there, it may say what nobody means. */
function isUnfinished(loaded: LoadedPolicy, taken: LoadedPolicy | undefined): boolean {
  return [...loaded.sources].some(([file, text]) => !text.endsWith('\n') && taken?.sources.get(file) !== text);
}
