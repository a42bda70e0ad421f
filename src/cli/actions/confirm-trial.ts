import { askRunningDaemon } from '#api/daemon-client.ts';
import { ROUTES } from '#api/routes.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { identityOfTexts } from '#host/files/policy-texts.ts';
import { forgetSubmission } from '#host/state/submission.ts';
import { writeToTarget } from './save-policy.ts';

/** A trial to confirm, and where to save its policy. */
export interface Confirmation {
  readonly socket: string;
  readonly policyFile: string;
  /** The policy on trial as sgctl knows it: this is saved, whatever the daemon answers. */
  readonly texts: PolicyTexts;
  /** Identifies the policy's files as they were: an edit since then is not overwritten. */
  readonly files: string;
}

/** The result of a confirmation. */
export interface ConfirmResult {
  /** Whether the policy was saved to the policy file. */
  readonly installed: boolean;
  readonly message: string;
}

/** Has the daemon keep the policy on trial, and saves it. Throws a DaemonError if no policy is on trial. */
export async function confirmTrial({ socket, policyFile, texts, files }: Confirmation): Promise<ConfirmResult> {
  const { policy: confirmed } = await askRunningDaemon(socket, ROUTES.confirm);
  const obstacle =
    identityOfTexts(confirmed) === identityOfTexts(texts)
      ? await writeToTarget(policyFile, texts, files)
      : 'the daemon reports that it keeps another policy than the one to confirm: sgctl status';
  await forgetSubmission(policyFile);
  if (obstacle === undefined) return { installed: true, message: `confirmed, and saved to ${policyFile}` };
  const message = `confirmed, and active until ${policyFile} changes, but NOT saved to it: ${obstacle}`;
  return { installed: false, message };
}
