import { VERSION } from '#api/version.ts';
import { EXIT, type ExitStatus, type Streams } from '#cli/framework/command.ts';
import { runCommand } from '#cli/framework/program.ts';
import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { COMMANDS } from './commands.ts';

const HELP = [
  'Usage: sgctl COMMAND [...]',
  '',
  'Security groups for this host: checks, explains and applies the policy that secgroupd enforces.',
  '',
  'Commands:',
  ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`),
  '',
  'Options:',
  "  -h, --help   print this help; `sgctl COMMAND --help` prints a command's",
  '  --version    print the version',
  '',
  'Example:',
  '  sgctl check /etc/secgroupd/policy.yaml',
  '',
].join('\n');

/** Runs a command line of `sgctl`; throws only bugs. */
export async function runSgctl([word, ...args]: readonly string[], streams: Streams): Promise<ExitStatus> {
  if (word === undefined || word === '--help' || word === '-h' || word === 'help') {
    if (word !== undefined) streams.out(HELP);
    else streams.err(HELP);
    return word === undefined ? EXIT.usage : EXIT.success;
  }
  if (word === '--version') {
    streams.out(`sgctl ${VERSION}\n`);
    return EXIT.success;
  }
  const command = COMMANDS.find(({ name }) => name === word);
  if (command !== undefined) return runCommand('sgctl', command, { args, streams });
  const near = didYouMean(
    word,
    COMMANDS.map(({ name }) => name),
  );
  streams.err(
    `sgctl: there is no command \`${word}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}\nhelp: sgctl --help\n`,
  );
  return EXIT.usage;
}
