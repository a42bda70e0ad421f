import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { checkAssertions } from '#core/meaning/assert/check-assertions.ts';
import type { HostState } from '#core/model/policy/host.ts';
import { ENDLESS, type Patience } from '#core/model/policy/patience.ts';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import { analyzeFiles } from './analyze-files.ts';
import { type LoadedPolicy, withDiagnostics } from './loaded-policy.ts';
import { areSameFiles, type PolicyFiles, readPolicyFiles } from './policy-files.ts';

/**
 * Loads a policy: reads, parses and analyzes its files, and proves its assertions while `patience` lasts. Finds all
 * that can be known of the policy without knowing the host. `readHost` reads this host, whose interfaces are the examples
 * in reports of broken assertions.
 */
export async function loadPolicy(
  reader: PolicyReader,
  patience: Patience = ENDLESS,
  readHost: () => Promise<HostState | undefined> = () => Promise.resolve(undefined),
): Promise<LoadedPolicy> {
  // Each file by itself: its text, and the document or the address list in it.
  const files = await readPolicyFiles(reader, undefined);
  // All files together: names, groups, rules.
  const loaded = analyzeFiles(files);
  // What the rules mean, held against what the policy asserts.
  const hasAssertions = loaded.policy !== undefined && loaded.policy.assertions.length > 0;
  return withDiagnostics(loaded, proofOf(loaded, patience, hasAssertions ? await readHost() : undefined));
}

/** What proving the assertions of a policy reports; `loaded` is without such a proof. */
export function proofOf({ policy }: LoadedPolicy, patience: Patience, host?: HostState): readonly Diagnostic[] {
  return policy === undefined ? [] : checkAssertions(policy, patience, host);
}

/**
 * Returns a function that loads a policy again and again, without proving its assertions: it parses only what has
 * changed, and returns the same object while nothing has. `pause` is awaited between steps that can take long, so that
 * other work gets its turn.
 */
export function createPolicyLoader(
  reader: PolicyReader,
  pause: () => Promise<void> = () => Promise.resolve(),
): () => Promise<LoadedPolicy> {
  let last: { readonly files: PolicyFiles; readonly loaded: LoadedPolicy } | undefined;
  return async () => {
    const files = await readPolicyFiles(reader, last?.files);
    if (last === undefined || !areSameFiles(files, last.files)) {
      await pause();
      last = { files, loaded: analyzeFiles(files) };
      await pause();
    }
    return last.loaded;
  };
}
