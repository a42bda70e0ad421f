import { askRunningDaemon } from '#api/daemon-client.ts';
import { OVERRIDE_ROUTE, ROUTES } from '#api/routes.ts';
import type { OverrideStatus } from '#api/status-answer.ts';
import { type Command, EXIT } from '#cli/framework/command.ts';
import { OPTION, socketPath } from '#cli/framework/options.ts';
import { readVersion } from '#cli/input/version-number.ts';

/** `sgctl rollback [N]`: applies an earlier policy. */
export const rollback: Command = {
  name: 'rollback',
  summary:
    'Ends a trial, or applies an earlier policy: the one before, or VERSION. The policy file stays as it is, and applies again as soon as it changes or the daemon is reloaded; `sgctl history VERSION` prints what to put into it.',
  usage: '[VERSION]',
  options: { json: OPTION.json, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  maxPositionals: 1,
  words: [],
  examples: ['sudo sgctl rollback', 'sgctl history', 'sudo sgctl rollback 12'],
  async run(line, streams) {
    const version = readVersion(line.positionals[0]);
    const socket = socketPath(line);
    const before = await askRunningDaemon(socket, OVERRIDE_ROUTE);
    const after = await askRunningDaemon(socket, ROUTES.rollback, { body: { version } });
    if (line.given('json')) streams.out(`${JSON.stringify({ pinned: after.pinned }, null, 2)}\n`);
    else streams.out(`${describe(before, after)}\n`);
    return EXIT.success;
  },
};

function describe(before: OverrideStatus, { pinned, policyFile }: OverrideStatus): string {
  const ended = before.trial === null ? '' : 'the trial has ended: ';
  if (pinned === null) return `${ended}${policyFile} is active`;
  const until = `until ${policyFile} changes or the daemon is reloaded`;
  if (pinned.version === null) return `${ended}the policy before is active, ${until}`;
  const keep = `the file still has the newer rules; to keep version ${pinned.version}: sgctl history ${pinned.version} prints what to put into it`;
  return `${ended}version ${pinned.version} is active, ${until}\n${keep}`;
}
