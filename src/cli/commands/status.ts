import { askDaemon } from '#api/daemon-client.ts';
import { ROUTES } from '#api/routes.ts';
import type { ReceivedStatus } from '#api/status-answer.ts';
import { type Command, CommandError, EXIT, type ExitStatus } from '#cli/framework/command.ts';
import { OPTION, socketPath } from '#cli/framework/options.ts';
import { formatStatus } from '#cli/present/format-status.ts';
import { TABLE, TABLE_NAMES } from '#core/translate/5-render/names.ts';
import { createNft } from '#kernel/nftables/nft.ts';
import { readInForce } from '#kernel/nftables/table.ts';

/** `sgctl status`: shows which policy is in force, and problems. */
export const status: Command = {
  name: 'status',
  summary:
    'Shows what the daemon enforces, on which interfaces, and why the newest policy is not in force if it is not.',
  usage: '',
  options: { json: OPTION.json, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  maxPositionals: 0,
  examples: [
    'sgctl status',
    'sgctl status >/dev/null || echo "look at the firewall of $(hostname)"',
    "sgctl status --json | jq '.refusal'",
  ],
  exitNo:
    'the newest policy is not in force, the rules do not protect this host, or the daemon reports a problem (a policy chosen by `sgctl try` or `sgctl rollback` counts as in force)',
  async run(line, streams) {
    const socket = socketPath(line);
    const received = await askDaemon(socket, ROUTES.status);
    if (received === undefined) {
      throw new CommandError(
        `no daemon serves ${socket}\nhelp: systemctl start secgroupd. ${await rulesWithoutDaemon()}`,
      );
    }
    streams.out(line.given('json') ? `${JSON.stringify(received, null, 2)}\n` : formatStatus(received));
    return exitOf(received);
  },
};

/** Success if the rules in force are those of the newest policy, or of one that the operator chose in its place. */
function exitOf(received: ReceivedStatus): ExitStatus {
  const isWanted = received.state === 'enforced' || received.state === 'held';
  return isWanted && received.inForce !== null && received.protected !== false && received.troubles.length === 0
    ? EXIT.success
    : EXIT.no;
}

/** Which rules are in force when no daemon answers. */
async function rulesWithoutDaemon(): Promise<string> {
  const inForce =
    process.geteuid?.() === 0
      ? await readInForce(createNft(), TABLE_NAMES).then(
          (found) => (found === undefined ? 'nothing' : 'rules'),
          () => 'unknown',
        )
      : 'unknown';
  switch (inForce) {
    case 'rules':
      return `Rules that were in force still are: nft list table ${TABLE}`;
    case 'nothing':
      return `NOT PROTECTED: there are no rules of secgroupd on this host (no table ${TABLE})`;
    default:
      return `Rules that were in force before, if any, still are: sudo nft list table ${TABLE}`;
  }
}
