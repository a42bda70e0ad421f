import { access, chown, constants, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { CommandError } from '#cli/framework/command.ts';
import { isSameFile } from '#cli/input/in-place.ts';
import { errorText } from '#core/diagnostics/error-text.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { filesBeside, identityOfTexts, policyTexts } from '#host/files/policy-texts.ts';
import { writeFileAtomically } from '#host/files/write-file.ts';

/** The policy file to save a policy to, as it is now. */
export interface PolicyTarget {
  readonly policyFile: string;
  /** Undefined if it has mistakes, or is missing. */
  readonly policy: Policy | undefined;
  readonly texts: PolicyTexts;
  /** Why nothing can be written there; undefined if it can. */
  readonly obstacle: string | undefined;
}

/** The longest policy file. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Reads the policy file to replace: only a valid or missing one, on a path that no other user can redirect, can be written. */
export async function lookAtTarget(policyFile: string): Promise<PolicyTarget> {
  const loaded = await createPolicyLoader(createPolicyReader(policyFile, 'any'))();
  const obstacle = await obstacleAt(policyFile, loaded.policy);
  return { policyFile, policy: loaded.policy, texts: policyTexts(loaded, ''), obstacle };
}

async function obstacleAt(policyFile: string, policy: Policy | undefined): Promise<string | undefined> {
  try {
    await readTrustedFile(policyFile, { maxBytes: MAX_BYTES, ownership: 'root' });
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (error.kind !== 'missing') return `${error.message}; ${error.hint}`;
  }
  const isThere = await stat(policyFile).then(
    () => true,
    () => false,
  );
  if (isThere && policy === undefined) return 'it is not a valid policy now: sgctl check shows why';
  return access(dirname(isThere ? await realpath(policyFile) : policyFile), constants.W_OK).then(
    () => undefined,
    (error: unknown) => errorText(error),
  );
}

/** Why `texts` cannot be saved to a target that was identified by `files` at the time of the trial; undefined if they can. */
export function obstacleTo(target: PolicyTarget, texts: PolicyTexts, files: string): string | undefined {
  if (saysAlready(target, texts)) return undefined;
  if (identityOfTexts(target.texts) !== files) return 'it was changed meanwhile';
  if (target.obstacle !== undefined) return target.obstacle;
  const others = differingBeside(target, texts);
  return others.length > 0
    ? `its drop-ins and lists are not those of the file that was tried; copy all of them: ${others.join(', ')}`
    : undefined;
}

/** The drop-ins and lists that only one of the target and `texts` has, or that differ. */
export function differingBeside(target: PolicyTarget, texts: PolicyTexts): readonly string[] {
  const [theirs, ours] = [filesBeside(target.texts), filesBeside(texts)];
  const names = new Set([...theirs.keys(), ...ours.keys()]);
  return [...names].filter((name) => name !== '' && theirs.get(name) !== ours.get(name)).toSorted();
}

/** Whether the policy's files are equal to `texts` already. */
export function saysAlready({ texts: present }: PolicyTarget, texts: PolicyTexts): boolean {
  return identityOfTexts(present) === identityOfTexts(texts);
}

/** Writes the policy file and keeps its mode and owner; returns the reason if it could not. */
export async function writeToTarget(
  policyFile: string,
  texts: PolicyTexts,
  files: string,
): Promise<string | undefined> {
  const target = await lookAtTarget(policyFile);
  if (saysAlready(target, texts)) return undefined;
  const obstacle = obstacleTo(target, texts, files);
  if (obstacle !== undefined) return obstacle;
  try {
    const present = await stat(policyFile).catch(() => undefined);
    const path = present === undefined ? policyFile : await realpath(policyFile);
    const mode = present === undefined ? 0o644 : present.mode & 0o7777;
    await writeFileAtomically(path, filesBeside(texts).get('') ?? '', mode);
    if (present !== undefined) await chown(path, present.uid, present.gid);
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}

/**
 * Throws a CommandError if the daemon reports that it enforces another policy file: the command line alone decides which
 * file is written.
 */
export async function refuseOtherPolicyFile(policyFile: string, enforced: string): Promise<void> {
  if (policyFile === enforced || (isAbsolute(enforced) && (await isSameFile(policyFile, enforced)))) return;
  throw new CommandError(
    `the daemon enforces \`${enforced}\`, and not \`${policyFile}\`, which this command would write\nhelp: if that is the policy file of this host, name it: --policy FILE`,
  );
}
