import { parentPort, workerData } from 'node:worker_threads';
import { createPolicyLoader, proofOf } from '#core/load-policy.ts';
import { MAX_PROOF_SECONDS } from '#core/model/policy/patience.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { readerOfTexts } from '#host/files/policy-texts.ts';
import { patienceOf } from '#host/patience.ts';

/** What a worker is given. */
export type ProofTask = Pick<PolicyTexts, 'documents' | 'texts'>;

/**
 * Proves the assertions of a policy in a thread of its own, and posts the diagnostics. It reads the policy again from its
 * texts: they cross to another thread in no time, and a policy does not. Throws where there is no policy in them.
 */
export async function proveAsWorker(): Promise<void> {
  const loaded = await createPolicyLoader(readerOfTexts(workerData as ProofTask))();
  if (loaded.policy === undefined) throw new Error('the texts of a valid policy are none here');
  parentPort?.postMessage(proofOf(loaded, patienceOf(MAX_PROOF_SECONDS)), []);
}
