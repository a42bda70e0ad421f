import { z } from 'zod';
import { TABLE, TABLE_NAMES } from '../4-render/names.ts';
import { createNft } from '../nft/nft.ts';
import { clearScript, readInForce } from '../nft/table.ts';
import { agrees } from './agrees.ts';
import { type Command, EXIT, UnableError } from './command.ts';
import { askDaemon } from './daemon-client.ts';
import { OPTION, socketPath } from './options.ts';

/** `sgctl clear`: the way out. */
export const clear: Command = {
  name: 'clear',
  summary: `Removes our table (${TABLE}) and nothing else: the host is open then. A running daemon keeps it away until the policy changes, it is reloaded or restarted.`,
  usage: '[--yes]',
  options: { yes: OPTION.yes, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  mostPositionals: 0,
  examples: ['sudo sgctl clear', 'sudo sgctl clear --yes'],
  async run(line, streams) {
    if (
      process.stdin.isTTY &&
      !line.given('yes') &&
      !(await agrees('Remove all rules of secgroupd from this host, leaving it open?'))
    ) {
      streams.err('nothing was changed\n');
      return EXIT.no;
    }
    const nft = createNft();
    const call = { method: 'POST', path: '/v1/clear', answer: z.unknown() } as const;
    if ((await askDaemon(socketPath(line), call)) === undefined) await nft.run(clearScript(TABLE));
    else if (process.geteuid?.() === 0 && (await readInForce(nft, TABLE_NAMES)) !== undefined)
      throw new UnableError(
        `the daemon says that it removed the rules, and the kernel has table ${TABLE} still\nhelp: systemctl stop secgroupd, and then sgctl clear again`,
      );
    streams.out('rules removed: every packet passes, as far as other tables let it\n');
    return EXIT.fine;
  },
};
