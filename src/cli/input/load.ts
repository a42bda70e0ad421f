import { stat } from 'node:fs/promises';
import { CommandError, type CommandLine, type Streams, UsageError } from '#cli/framework/command.ts';
import { styleDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { loadPolicy } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { whyUnprotected } from '#core/meaning/unprotected-host.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import { MAX_PROOF_SECONDS } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { createPlacedReader, type Placement } from '#host/files/placed-reader.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { policyTexts, renamedTexts } from '#host/files/policy-texts.ts';
import { readIdentity } from '#host/identity.ts';
import { patienceOf } from '#host/patience.ts';
import { readInterfaces } from '#kernel/links/read-interfaces.ts';

/** Reads a policy without ownership checks: nothing is enforced from it yet. */
export function readPolicy(placement: Placement): Promise<LoadedPolicy> {
  return loadPolicy(createPlacedReader(placement), patienceOf(MAX_PROOF_SECONDS), readHostIfPossible);
}

/** As {@link readPolicy}; also returns the texts, under the names that the files have at the path of `placement`. */
export async function readPolicyAndTexts(
  placement: Placement,
): Promise<{ readonly loaded: LoadedPolicy; readonly texts: PolicyTexts }> {
  const reader = createPlacedReader(placement);
  const loaded = await loadPolicy(reader, patienceOf(MAX_PROOF_SECONDS), readHostIfPossible);
  const texts = renamedTexts(policyTexts(loaded, ''), reader.standing);
  if (texts !== undefined) return { loaded, texts };
  const lists = [...reader.standing].slice(1).map(([own, there]) => `\`${own}\` and \`${there}\``);
  throw new CommandError(
    `two different lists have the same name, and both are in use: ${lists.join('; ')}\nhelp: make them equal, or give --alone`,
  );
}

/** Reads a policy to enforce it at once, with ownership checks. */
export function readPolicyToEnforce(file: string, ownership: 'root' | 'any'): Promise<LoadedPolicy> {
  return loadPolicy(createPolicyReader(file, ownership), patienceOf(MAX_PROOF_SECONDS), readHostIfPossible);
}

/** The file that a command line names, and the path that `--as` gives it. Throws a UsageError for a directory. */
export async function placementOf(line: CommandLine, file: string): Promise<Placement> {
  const at = line.text('as');
  if (at === undefined) return { file };
  const isDirectory = await stat(at).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (at === '' || at.endsWith('/') || isDirectory)
    throw new UsageError(`--as is the path that the file will have, not a directory: \`${at}\``);
  return { file, at };
}

/** Prints the diagnostics of a policy to standard error, with frames. */
export function printDiagnostics({ diagnostics, sources }: LoadedPolicy, streams: Streams): void {
  for (const diagnostic of diagnostics) {
    streams.err(styleDiagnostic(diagnostic, (file) => sources.get(file)));
    streams.err('\n');
  }
}

/** Reads a policy and prints its diagnostics; undefined if it has mistakes. */
export async function readPolicyOrExplain(placement: Placement, streams: Streams): Promise<Policy | undefined> {
  const loaded = await readPolicy(placement);
  printDiagnostics(loaded, streams);
  return loaded.policy;
}

/** Reads this host's names and interfaces. */
export async function readHost(): Promise<HostState> {
  return { ...(await readIdentity()), interfaces: await readInterfaces() };
}

/** This host; undefined if it cannot be read: policies are judged on any machine, and a sandbox can hide interfaces. */
export function readHostIfPossible(): Promise<HostState | undefined> {
  return readHost().catch(() => undefined);
}

/** The instance to act as, and where doubts about it are printed. */
export interface Locating {
  readonly named: string | undefined;
  readonly streams: Streams;
}

/** The policy as it applies to this host, as the instance `named` if given. Throws a CommandError if no instance is the host. */
export function locate(policy: Policy, host: HostState, { named, streams }: Locating): HostPolicy {
  const located = locateHost(policy, host, named);
  if (located.kind === 'found') {
    if (located.doubt !== undefined) streams.err(`warning: ${located.doubt.message}\nhelp: ${located.doubt.help}\n`);
    return located.hostPolicy;
  }
  throw new CommandError(`${located.message}\nhelp: ${located.help}`);
}

/** As {@link warnWhereUnprotected}, for the instance that the policy has for this host; does nothing if it has none. */
export function warnWhereUnprotectedHere(policy: Policy, host: HostState, streams: Streams): boolean {
  const located = locateHost(policy, host, undefined);
  return located.kind === 'found' && warnWhereUnprotected(located.hostPolicy, host, streams);
}

/** Warns if a policy, once in force, would leave this host unprotected; returns whether it did. */
export function warnWhereUnprotected(hostPolicy: HostPolicy, host: HostState, streams: Streams): boolean {
  const unprotected = whyUnprotected(hostPolicy, host);
  if (unprotected === undefined) return false;
  streams.err([{ style: 'error', text: unprotected.message }, `\nhelp: ${unprotected.help}\n`]);
  return true;
}
