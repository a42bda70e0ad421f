import { execa } from 'execa';
import { MAX_TRIAL_SECONDS } from '#api/change-bodies.ts';
import { askRunningDaemon } from '#api/daemon-client.ts';
import { OVERRIDE_ROUTE, ROUTES } from '#api/routes.ts';
import type { OverrideStatus } from '#api/status-answer.ts';
import { type Confirmation, confirmTrial } from '#cli/actions/confirm-trial.ts';
import { lookAtTarget, refuseOtherPolicyFile } from '#cli/actions/save-policy.ts';
import {
  type Command,
  CommandError,
  type CommandLine,
  EXIT,
  type ExitStatus,
  type Streams,
  UsageError,
} from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION, socketPath } from '#cli/framework/options.ts';
import { agrees } from '#cli/input/ask-user.ts';
import { locateTexts, policyInForce } from '#cli/input/in-force.ts';
import { alongText, filesAlong, inPlaceOf } from '#cli/input/in-place.ts';
import { readLiveFlows, readOwnSession } from '#cli/input/live-flows.ts';
import { printDiagnostics, readHost, readPolicyAndTexts, warnWhereUnprotectedHere } from '#cli/input/load.ts';
import { sessionText } from '#cli/present/format-change.ts';
import { changeEffects } from '#core/change-effects.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { isStandardInput, shownName } from '#host/files/placed-reader.ts';
import { identityOfTexts } from '#host/files/policy-texts.ts';
import { FileWriteError } from '#host/files/write-file.ts';
import { patienceOf } from '#host/patience.ts';
import { forgetSubmission, noteSubmission, type Submission } from '#host/state/submission.ts';
import { deadlineIn } from '#host/state/uptime.ts';

const DEFAULT_SECONDS = 60;

/** The trial begins after so long, whatever is left to compare for the warning. */
const MAX_WARNING_SECONDS = 3;

/** `sgctl try [FILE]`: applies a policy on trial. */
export const tryOut: Command = {
  name: 'try',
  summary:
    'Applies a policy for a limited time. Unless you confirm it, the policy before returns by itself, whatever happens to you, sgctl, the daemon or the machine; once confirmed, it is saved to the policy file. FILE replaces the policy file and uses its drop-ins, and those of its lists that are not beside FILE; a FILE with drop-ins of its own is used as it is. The output names the drop-ins and lists that were used; none of them is written. FILE may be a FIFO, or - for standard input.',
  usage: '[FILE] [--alone] [--timeout SECONDS] [--check COMMAND] [--policy FILE]',
  options: {
    alone: OPTION.alone,
    timeout: {
      type: 'string',
      value: 'SECONDS',
      help: `how long, 1 to ${MAX_TRIAL_SECONDS} seconds (default ${DEFAULT_SECONDS}); also as 5m or 2h`,
    },
    check: {
      type: 'string',
      value: 'COMMAND',
      help: 'confirm if this shell command succeeds in time, and roll back at once if it fails',
    },
    policy: {
      ...OPTION.policy,
      help: `the policy file to save it to once it is confirmed (default ${DEFAULT_POLICY_FILE})`,
    },
    'no-wait': { type: 'boolean', help: 'do not ask on a terminal; confirm with `sgctl confirm`' },
    'runtime-dir': OPTION.runtimeDir,
    json: OPTION.json,
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: [
    'sudo sgctl try new-policy.yaml',
    'sudo sgctl try new-policy.yaml --timeout 5m --no-wait && sleep 60 && sudo sgctl confirm',
    "sudo sgctl try new-policy.yaml --check 'curl --fail --max-time 5 https://example.org'",
  ],
  exitNo: 'the policy is not valid, or was not confirmed and the one before is back',
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const seconds = readSeconds(line.text('timeout') ?? String(DEFAULT_SECONDS));
    const policyFile = line.text('policy') ?? DEFAULT_POLICY_FILE;
    const { loaded, texts } = await readPolicyAndTexts(
      line.given('alone') ? { file } : await inPlaceOf(policyFile, file),
    );
    printDiagnostics(loaded, streams);
    if (loaded.policy === undefined) return EXIT.no;
    warnWhereUnprotectedHere(loaded.policy, await readHost(), streams);
    const socket = socketPath(line);
    const began = performance.now();
    const before = await askRunningDaemon(socket, OVERRIDE_ROUTE, { isForChange: true });
    await refuseOtherPolicyFile(policyFile, before.policyFile);
    const files = identityOfTexts((await lookAtTarget(policyFile)).texts);
    const noting = (): Promise<void> => note(policyFile, { identity: identityOfTexts(texts), files }, seconds);
    // INVARIANT: the note describes the last submission. It is written first, in case this program is killed; but while
    // another trial runs, the daemon refuses this one, and the note of that trial stays.
    if (before.trial === null) await noting();
    await warnOfOwnSession(loaded.policy, socket, streams);
    // A daemon of an earlier version, which may still run, refuses the key `file`.
    const [name = ''] = loaded.documents;
    const called = texts.documents[0] === name ? {} : { file: name };
    const body = { policy: texts, timeoutSeconds: seconds, ...called };
    const status = await askRunningDaemon(socket, ROUTES.try, { body });
    if (before.trial !== null) await noting();
    const left = (): number => Math.max(0, seconds * 1000 - (performance.now() - began));
    const along = filesAlong(loaded);
    const message = `${shownName(file)}${alongText(along)}${along.length === 0 ? ':' : ''} active for ${seconds} s; then the policy before returns, unless you confirm`;
    if (!line.given('json')) streams.err(`${message}\n`);
    const answer = await decide(line, left, streams);
    return finish(answer, { socket, policyFile, texts, files, json: line.given('json'), status, along }, streams);
  },
};

/** Says before it happens that the ssh session of this very terminal is cut, where that can be told within a moment. */
async function warnOfOwnSession(policy: Policy, socket: string, streams: Streams): Promise<void> {
  const session = await readOwnSession();
  if (session === undefined) return;
  const inForce = await policyInForce(socket).catch(unlessUnknown);
  if (inForce?.kind !== 'policy') return;
  const host = await readHost();
  const before = await locateTexts(inForce.texts, host);
  const after = locateHost(policy, host, inForce.texts.instance);
  if (before === undefined || after.kind !== 'found') return;
  const changed = { host, liveFlows: await readLiveFlows(), session };
  const effects = changeEffects({ before, after: after.hostPolicy }, changed, patienceOf(MAX_WARNING_SECONDS));
  if (effects.session?.cut !== undefined) streams.err(sessionText(effects.session));
}

/** A daemon that does not know what is in force can try a policy all the same. */
function unlessUnknown(error: unknown): undefined {
  if (!(error instanceof CommandError)) throw error;
}

/** The decision on a trial; `later`: another command decides. */
type Answer = 'keep' | 'back' | 'later';

async function decide(line: CommandLine, left: () => number, streams: Streams): Promise<Answer> {
  const command = line.text('check');
  if (command !== undefined) return (await succeeds(command, left(), streams)) ? 'keep' : 'back';
  const isTyped = isStandardInput(line.positionals[0] ?? '');
  const canAsk =
    process.stdin.isTTY && process.stderr.isTTY && !line.given('json') && !line.given('no-wait') && !isTyped;
  if (!canAsk) return 'later';
  return (await agrees('Keep it? Try a new connection first.', left())) ? 'keep' : 'back';
}

/** Whether the user's check command succeeds in time; its output goes to standard error. */
async function succeeds(command: string, milliseconds: number, streams: Streams): Promise<boolean> {
  // A process group of its own, so that nothing it starts outlives the time.
  const check = execa('/bin/sh', ['-c', command], {
    reject: false,
    detached: true,
    stdin: 'ignore',
    stdout: 2,
    stderr: 'inherit',
  });
  let isLate = false;
  const deadline = setTimeout(
    () => {
      isLate = true;
      if (check.pid !== undefined) process.kill(-check.pid, 'SIGKILL');
    },
    Math.max(1, milliseconds - 500),
  );
  const { exitCode } = await check;
  clearTimeout(deadline);
  if (isLate) streams.err('the check did not end in time\n');
  else if (exitCode !== 0) streams.err(`the check failed with status ${exitCode ?? 'unknown'}\n`);
  return exitCode === 0 && !isLate;
}

/** Notes the submission, by which `sgctl confirm` recognizes it. A user who cannot write the policy file needs no note. */
async function note(
  policyFile: string,
  submitted: Pick<Submission, 'identity' | 'files'>,
  seconds: number,
): Promise<void> {
  const deadline = await deadlineIn(seconds);
  if (deadline === undefined) return;
  await noteSubmission(policyFile, { ...submitted, deadline }).catch((error: unknown) => {
    if (!(error instanceof FileWriteError)) throw error;
  });
}

interface Trial extends Confirmation {
  readonly json: boolean;
  readonly status: OverrideStatus;
  /** The drop-ins and lists that are used with the file. */
  readonly along: readonly string[];
}

async function finish(answer: Answer, trial: Trial, streams: Streams): Promise<ExitStatus> {
  const { socket, policyFile, json, status, along } = trial;
  const say = (result: object, message: string): void =>
    streams.out(json ? `${JSON.stringify({ ...result, with: along }, null, 2)}\n` : `${message}\n`);
  switch (answer) {
    case 'later':
      say(
        { confirmed: false, trial: status.trial },
        `to keep it: sgctl confirm${policyFile === DEFAULT_POLICY_FILE ? '' : ` --policy ${policyFile}`}; to end it now: sgctl rollback`,
      );
      return EXIT.success;
    case 'keep': {
      const { installed, message } = await confirmTrial(trial);
      say({ confirmed: true, installed }, message);
      return EXIT.success;
    }
    case 'back': {
      // The trial may have ended meanwhile: `trialOnly` then rolls nothing back.
      await askRunningDaemon(socket, ROUTES.rollback, { body: { trialOnly: true } });
      await forgetSubmission(policyFile);
      say({ confirmed: false, trial: null }, 'not confirmed: the policy before is back');
      return EXIT.no;
    }
  }
}

function readSeconds(text: string): number {
  const [, digits, unit] = /^([0-9]{1,6})(s|m|h)?$/.exec(text) ?? [];
  const seconds = Number(digits) * (unit === 'h' ? 3600 : unit === 'm' ? 60 : 1);
  if (digits === undefined || seconds < 1 || seconds > MAX_TRIAL_SECONDS)
    throw new UsageError(`--timeout is 1 to ${MAX_TRIAL_SECONDS} seconds, as 60, 90s, 5m or 2h, not \`${text}\``);
  return seconds;
}
