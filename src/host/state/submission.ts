import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { Deadline } from '#core/model/policy/held-policy.ts';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';
import { writeFileAtomically } from '#host/files/write-file.ts';
import { secondsLeft } from './uptime.ts';

/** A policy submitted for a trial, as a confirmation identifies it. */
export interface Submission {
  /** Identifies the files that were submitted. */
  readonly identity: string;
  /** Identifies what the policy's files said at the time. */
  readonly files: string;
  /** When the trial ends. */
  readonly deadline: Deadline;
}

const SUBMISSION = z.object({
  identity: z.string(),
  files: z.string(),
  deadline: z.object({ bootId: z.string(), uptimeSeconds: z.number() }),
});

const MAX_BYTES = 4_096;

/**
 * Notes a submission beside the policy file, where only users who can change the policy file write; the daemon cannot. Throws
 * a FileWriteError.
 */
export async function noteSubmission(policyFile: string, submission: Submission): Promise<void> {
  await writeFileAtomically(placeOf(policyFile), `${JSON.stringify(submission)}\n`, 0o600);
}

/** The last submission for this policy file that can still be confirmed; undefined if others could have written it. */
export async function readSubmission(policyFile: string): Promise<Submission | undefined> {
  try {
    const { text } = await readTrustedFile(placeOf(policyFile), { maxBytes: MAX_BYTES, ownership: 'root' });
    const submission = SUBMISSION.parse(JSON.parse(text));
    return (await secondsLeft(submission.deadline)) > 0 ? submission : undefined;
  } catch (error) {
    if (error instanceof FileError || error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** Forgets the submission for this policy file. Never throws: a submission that is left expires. */
export async function forgetSubmission(policyFile: string): Promise<void> {
  await rm(placeOf(policyFile), { force: true }).catch(() => undefined);
}

/** A hidden name, which belongs to no policy. */
function placeOf(policyFile: string): string {
  return join(dirname(policyFile), `.${basename(policyFile)}.tried`);
}
