import { Worker } from 'node:worker_threads';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { proofOf } from '#core/load-policy.ts';
import { type LoadedPolicy, withDiagnostics } from '#core/loaded-policy.ts';
import { unprovedDiagnostic } from '#core/meaning/assert/check-assertions.ts';
import { MAX_PROOF_SECONDS } from '#core/model/policy/patience.ts';
import type { Assertion } from '#core/model/policy/policy.ts';
import { policyTexts } from '#host/files/policy-texts.ts';
import { patienceOfSteps } from '#host/patience.ts';
import type { ProofTask } from './proof-worker.ts';

/** Proves what policies assert, beside all else that the daemon does. */
export interface PolicyProver {
  /**
   * A policy, loaded without a proof of its assertions, with what their proof says: at once where that is little work.
   * Never rejects; a policy that could not be proved is one with errors. `signal` ends a proof that is not wanted any more.
   */
  prove(loaded: LoadedPolicy, signal?: AbortSignal): LoadedPolicy | Promise<LoadedPolicy>;
  /** Ends all proofs under way. */
  close(): Promise<void>;
}

/** Some milliseconds of work: a thread takes 200 to start. */
const MAX_STEPS_AT_ONCE = 20_000;

/** A worker ends by itself when its time is up; after so long something else is wrong with it. */
const MAX_WORKER_SECONDS = MAX_PROOF_SECONDS + 40;

/** What runs out of it fails alone: the heap of a thread is its own. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 1024 } as const;

/** Proves in threads that run `program`, which calls `proveAsWorker` there. */
export function createPolicyProver(program: string): PolicyProver {
  const workers = new Set<Worker>();

  const proveElsewhere = (loaded: LoadedPolicy, first: Assertion, signal: AbortSignal | undefined) =>
    new Promise<LoadedPolicy>((resolve) => {
      const { documents, texts } = policyTexts(loaded, '');
      const worker = new Worker(program, {
        workerData: { documents, texts } satisfies ProofTask,
        argv: [],
        resourceLimits: WORKER_LIMITS,
      });
      workers.add(worker);
      const end = (proof: readonly Diagnostic[]): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abandon);
        // Its memory goes with it.
        void worker.terminate().finally(() => workers.delete(worker));
        resolve(withDiagnostics(loaded, proof));
      };
      const fail = (why: string): void => end([unprovedDiagnostic(first, why)]);
      const abandon = (): void => fail('before it changed again');
      const timer = setTimeout(() => fail(`within ${MAX_WORKER_SECONDS} s`), 1000 * MAX_WORKER_SECONDS);
      signal?.addEventListener('abort', abandon);
      worker.once('message', end);
      worker.once('error', (error) => fail(`(${error.message})`));
      worker.once('exit', () => fail('for its thread ended'));
    });

  return {
    prove(loaded, signal) {
      const [first] = loaded.policy?.assertions ?? [];
      if (first === undefined) return loaded;
      const proof = proofOf(loaded, patienceOfSteps(MAX_STEPS_AT_ONCE));
      if (!proof.some(({ code }) => code === 'assertion-unproved')) return withDiagnostics(loaded, proof);
      return proveElsewhere(loaded, first, signal);
    },
    async close() {
      await Promise.all([...workers].map((worker) => worker.terminate()));
    },
  };
}
