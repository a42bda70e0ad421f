import { z } from 'zod';
import { askDaemon } from '#api/daemon-client.ts';
import { ROUTES } from '#api/routes.ts';
import { type Command, CommandError, EXIT, UsageError } from '#cli/framework/command.ts';
import { OPTION, socketPath } from '#cli/framework/options.ts';
import { agrees } from '#cli/input/ask-user.ts';
import { TABLE, TABLE_NAMES } from '#core/translate/5-render/names.ts';
import { createNft } from '#kernel/nftables/nft.ts';
import { clearScript, readInForce } from '#kernel/nftables/table.ts';

/** `sgctl clear`: turns the firewall off. */
export const clear: Command = {
  name: 'clear',
  summary: `Turns the firewall off: removes the table of secgroupd (${TABLE}) and nothing else, so the host is open. It stays off until the policy changes, or the daemon is reloaded (systemctl reload secgroupd) or restarted, as at boot. Asks first; without a terminal it needs --yes.`,
  usage: '[--yes]',
  options: { yes: OPTION.yes, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  maxPositionals: 0,
  examples: ['sudo sgctl clear', 'sudo sgctl clear --yes'],
  exitNo: 'you did not agree, and nothing was changed',
  async run(line, streams) {
    if (!line.given('yes') && !process.stdin.isTTY) {
      throw new UsageError('this leaves the host open, and there is no terminal to ask on: give --yes');
    }
    if (!line.given('yes') && !(await agrees('Remove all rules of secgroupd from this host, leaving it open?'))) {
      streams.err('nothing was changed\n');
      return EXIT.no;
    }
    const nft = createNft();
    // Whatever the daemon answers, the kernel shows whether it cleared.
    const route = { ...ROUTES.clear, answer: z.unknown() };
    const isDaemonThere = (await askDaemon(socketPath(line), route)) !== undefined;
    if (!isDaemonThere) await nft.run(clearScript(TABLE));
    else if (process.geteuid?.() === 0 && (await readInForce(nft, TABLE_NAMES)) !== undefined)
      throw new CommandError(
        `the daemon reports that it removed the rules, but the kernel still has table ${TABLE}\nhelp: systemctl stop secgroupd, and then sgctl clear again`,
      );
    streams.out(
      `firewall off: all traffic passes unless other tables block it\non again: systemctl ${isDaemonThere ? 'reload' : 'start'} secgroupd\n`,
    );
    return EXIT.success;
  },
};
