import { createInterface } from 'node:readline/promises';
import { TABLE } from '../4-render/names.ts';
import { createNft } from '../nft/nft.ts';
import { clearScript } from '../nft/table.ts';
import { type Command, EXIT } from './command.ts';
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
    if (process.stdin.isTTY && !line.given('yes') && !(await agreed())) {
      streams.err('nothing was changed\n');
      return EXIT.no;
    }
    if ((await askDaemon(socketPath(line), 'POST', '/v1/clear')) === undefined)
      await createNft().run(clearScript(TABLE));
    streams.out('rules removed: every packet passes, as far as other tables let it\n');
    return EXIT.fine;
  },
};

async function agreed(): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question('Remove all rules of secgroupd from this host, leaving it open? [y/N] ');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
