import { askRunningDaemon } from '#api/daemon-client.ts';
import { OVERRIDE_ROUTE, ROUTES } from '#api/routes.ts';
import { confirmTrial } from '#cli/actions/confirm-trial.ts';
import {
  differingBeside,
  lookAtTarget,
  obstacleTo,
  type PolicyTarget,
  refuseOtherPolicyFile,
  saysAlready,
} from '#cli/actions/save-policy.ts';
import { type Command, CommandError, type CommandLine, EXIT, type Streams } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION, socketPath } from '#cli/framework/options.ts';
import { agrees } from '#cli/input/ask-user.ts';
import { readLiveFlows, readOwnSession } from '#cli/input/live-flows.ts';
import { readHost } from '#cli/input/load.ts';
import { DEFAULT_SECONDS } from '#cli/input/within-option.ts';
import { formatChange } from '#cli/present/format-change.ts';
import { changeEffects } from '#core/change-effects.ts';
import { loadPolicy } from '#core/load-policy.ts';
import { MAX_PROOF_SECONDS } from '#core/model/policy/patience.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { changedLines } from '#core/read/2-analyze/changed-lines.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { identityOfTexts, readerOfTexts } from '#host/files/policy-texts.ts';
import { patienceOf } from '#host/patience.ts';
import { readSubmission } from '#host/state/submission.ts';

/** `sgctl confirm`: keeps the policy on trial. */
export const confirm: Command = {
  name: 'confirm',
  summary:
    'Keeps the policy on trial, and saves it to the policy file. If it is not the text that `sgctl try` submitted for this policy file, shows what would change, and asks.',
  usage: '[--policy FILE] [--yes]',
  options: {
    policy: OPTION.policy,
    yes: { ...OPTION.yes, help: 'do not ask before saving a text that this user did not submit' },
    json: OPTION.json,
    'runtime-dir': OPTION.runtimeDir,
    help: OPTION.help,
  },
  maxPositionals: 0,
  examples: ['sudo sgctl confirm', 'sudo sgctl confirm --yes --json'],
  exitNo: 'you did not agree, and nothing was changed',
  async run(line, streams) {
    const policyFile = line.text('policy') ?? DEFAULT_POLICY_FILE;
    const socket = socketPath(line);
    const status = await askRunningDaemon(socket, OVERRIDE_ROUTE, { isForChange: true });
    await refuseOtherPolicyFile(policyFile, status.policyFile);
    if (status.trial === null) throw new CommandError('no policy is on trial');
    const { policy: texts } = await askRunningDaemon(socket, ROUTES.policy);
    if (texts === null) throw new CommandError('the daemon does not report which policy is on trial');
    const target = await lookAtTarget(policyFile);
    const submission = await readSubmission(policyFile);
    const isSubmitted = submission?.identity === identityOfTexts(texts);
    const files = isSubmitted ? submission.files : identityOfTexts(target.texts);
    const changed =
      isSubmitted && submission.files !== identityOfTexts(target.texts) ? differingBeside(target, texts) : [];
    if (changed.length > 0) streams.err(`${policyFile}: changed since it was tried: ${changed.join(', ')}\n`);
    const isWritten = !saysAlready(target, texts) && obstacleTo(target, texts, files) === undefined;
    if (isWritten && !isSubmitted && !(await isAgreed({ target, texts, line }, streams))) {
      streams.err('nothing was changed: the trial continues until its time is up\n');
      return EXIT.no;
    }
    const result = await confirmTrial({ socket, policyFile, texts, files });
    streams.out(
      line.given('json') ? `${JSON.stringify({ confirmed: true, ...result }, null, 2)}\n` : `${result.message}\n`,
    );
    return EXIT.success;
  },
};

interface UnsubmittedPolicy {
  readonly target: PolicyTarget;
  readonly texts: PolicyTexts;
  readonly line: CommandLine;
}

/**
 * Whether to save a policy that this user did not submit and only the daemon reports: shows what would change, and asks.
 * Throws a CommandError for an invalid policy, and if there is no terminal to ask on and no --yes.
 */
async function isAgreed({ target, texts, line }: UnsubmittedPolicy, streams: Streams): Promise<boolean> {
  const { policyFile } = target;
  const { policy } = await loadPolicy(readerOfTexts(texts), patienceOf(MAX_PROOF_SECONDS));
  const host = await readHost();
  const after = policy === undefined ? undefined : locateHost(policy, host, texts.instance);
  if (after?.kind !== 'found')
    throw new CommandError(
      'the policy that the daemon reports as on trial is not valid for this host: nothing is written',
    );
  const located = target.policy === undefined ? undefined : locateHost(target.policy, host, texts.instance);
  const before = located?.kind === 'found' ? located.hostPolicy : undefined;
  streams.err(`${policyFile} would change, to a text that this user did not submit with \`sgctl try\`:\n`);
  streams.err(`${formatChangedText(textOf(target.texts), textOf(texts))}\n`);
  const change = { before, after: after.hostPolicy };
  const changed = { host, liveFlows: await readLiveFlows(), session: await readOwnSession() };
  const effects = changeEffects(change, changed, patienceOf(DEFAULT_SECONDS));
  streams.err(formatChange(effects, `effect of that change, as ${after.hostPolicy.instance}`));
  if (line.given('yes')) return true;
  if (process.stdin.isTTY && process.stderr.isTTY && !line.given('json')) return agrees(`Write this to ${policyFile}?`);
  throw new CommandError(
    'not confirmed, and nothing is written\nhelp: sgctl confirm --yes, if you want the change above',
  );
}

function textOf({ documents: [main = ''], texts }: PolicyTexts): string {
  return texts[main] ?? '';
}

/** The lines removed and added, each marked. */
function formatChangedText(before: string, after: string): string {
  const { start, beforeEnd, afterEnd } = changedLines(before, after);
  const marked = (mark: string, text: string): readonly string[] =>
    text === ''
      ? []
      : text
          .replace(/\n$/, '')
          .split('\n')
          .map((each) => `${mark} ${each}`);
  return [...marked('-', before.slice(start, beforeEnd)), ...marked('+', after.slice(start, afterEnd))].join('\n');
}
