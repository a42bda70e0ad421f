import { stat } from 'node:fs/promises';
import { styleDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { readIdentity } from '#host/identity.ts';
import { patienceOf } from '#host/patience.ts';
import { createPlacedReader, type Placement } from '#host/files/placed-reader.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { policyTexts, renamedTexts } from '#host/files/policy-texts.ts';
import { readInterfaces } from '#kernel/links/read-interfaces.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import { MAX_PROOF_SECONDS } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { loadPolicy } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { whyUnprotected } from '#core/meaning/unprotected-host.ts';
import { type CommandLine, type Streams, CommandError, UsageError } from '#cli/framework/command.ts';

/** Reads a policy for a person who judges it: whose file it is does not matter. */
export function readPolicy(placement: Placement): Promise<LoadedPolicy> {
  return loadPolicy(createPlacedReader(placement), patienceOf(MAX_PROOF_SECONDS));
}

/** Reads a policy as `readPolicy` does, and gives its texts by the names that the files have where they are thought to stand. */
export async function readPolicyAndTexts(
  placement: Placement,
): Promise<{ readonly loaded: LoadedPolicy; readonly texts: PolicyTexts }> {
  const reader = createPlacedReader(placement);
  const loaded = await loadPolicy(reader, patienceOf(MAX_PROOF_SECONDS));
  const texts = renamedTexts(policyTexts(loaded, ''), reader.standing);
  if (texts !== undefined) return { loaded, texts };
  const lists = [...reader.standing].slice(1).map(([own, there]) => `\`${own}\` and \`${there}\``);
  throw new CommandError(
    `lists of one name that say different things are both in use: ${lists.join('; ')}\nhelp: make them the same, or say --alone`,
  );
}

/** Reads a policy that is to be enforced as it stands there, without a look by a person. */
export function readPolicyToEnforce(file: string, ownership: 'root' | 'any'): Promise<LoadedPolicy> {
  return loadPolicy(createPolicyReader(file, ownership), patienceOf(MAX_PROOF_SECONDS));
}

/** The file that a command line names, and the path that `--as` says it stands at. Throws a UsageError for a directory. */
export async function placementOf(line: CommandLine, file: string): Promise<Placement> {
  const at = line.text('as');
  if (at === undefined) return { file };
  const isDirectory = await stat(at).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (at === '' || at.endsWith('/') || isDirectory)
    throw new UsageError(`--as is the path that the file will have, and not that of a directory: \`${at}\``);
  return { file, at };
}

/** Prints the diagnostics of a policy to standard error, frames and all. */
export function printDiagnostics({ diagnostics, sources }: LoadedPolicy, streams: Streams): void {
  for (const diagnostic of diagnostics) {
    streams.err(styleDiagnostic(diagnostic, (file) => sources.get(file)));
    streams.err('\n');
  }
}

/** The policy of a file, or undefined once its mistakes are printed. Warnings are printed too. */
export async function readPolicyOrExplain(placement: Placement, streams: Streams): Promise<Policy | undefined> {
  const loaded = await readPolicy(placement);
  printDiagnostics(loaded, streams);
  return loaded.policy;
}

/** This host: its names and its interfaces. */
export async function readHost(): Promise<HostState> {
  return { ...(await readIdentity()), interfaces: await readInterfaces() };
}

/** Which instance a host is to be, and where doubts about it are printed. */
export interface Locating {
  readonly named: string | undefined;
  readonly streams: Streams;
}

/** The policy as this host sees it, being the instance `named` if one is. Throws a CommandError where the host is not in it. */
export function locate(policy: Policy, host: HostState, { named, streams }: Locating): HostPolicy {
  const located = locateHost(policy, host, named);
  if (located.kind === 'found') {
    if (located.doubt !== undefined) streams.err(`warning: ${located.doubt.message}\nhelp: ${located.doubt.help}\n`);
    return located.hostPolicy;
  }
  throw new CommandError(`${located.message}\nhelp: ${located.help}`);
}

/** As {@link warnWhereUnprotected}, of this host as the policy finds it; nothing where the host is not in the policy. */
export function warnWhereUnprotectedHere(policy: Policy, host: HostState, streams: Streams): boolean {
  const located = locateHost(policy, host, undefined);
  return located.kind === 'found' && warnWhereUnprotected(located.hostPolicy, host, streams);
}

/** Warns where a policy, once in force, would leave this host without protection, and returns whether it did. */
export function warnWhereUnprotected(hostPolicy: HostPolicy, host: HostState, streams: Streams): boolean {
  const unprotected = whyUnprotected(hostPolicy, host);
  if (unprotected === undefined) return false;
  streams.err([{ style: 'error', text: unprotected.message }, `\nhelp: ${unprotected.help}\n`]);
  return true;
}
