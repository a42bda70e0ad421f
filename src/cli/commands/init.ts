import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Command, CommandError, EXIT } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import { readHost } from '#cli/input/load.ts';
import { leftOutOf, type StarterInput, starterPolicy } from '#cli/starter/starter-policy.ts';
import { errorText } from '#core/diagnostics/error-text.ts';
import { parseAddress } from '#core/read/2-analyze/address-text.ts';
import { FileWriteError, writeFileAtomically } from '#host/files/write-file.ts';
import { readHeardProtocols } from '#host/heard-protocols.ts';
import { readClientPorts, readListeningSockets } from '#host/listening-sockets.ts';
import { findSshSession } from '#host/ssh-session.ts';

/** `sgctl init [FILE]`: writes a first policy for this host. */
export const init: Command = {
  name: 'init',
  summary:
    "Writes a starter policy from this host's interfaces, its listening sockets (TCP and UDP ports, raw sockets by protocol), and the address from which you are logged in by ssh, which it always allows. It leaves out ports that look like a client's, and lists them.",
  usage: '[FILE] [--force]',
  options: {
    force: { type: 'boolean', short: 'f', help: 'replace an existing file' },
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: ['sgctl init - | less', 'sudo sgctl init', 'sudo sgctl init /etc/secgroupd/policy.yaml --force'],
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    if (file !== '-' && !line.given('force') && (await exists(file))) {
      throw new CommandError(`${file} exists already\nhelp: --force replaces it, and \`-\` prints instead`);
    }
    const input: StarterInput = {
      host: await readHost(),
      sockets: await readListeningSockets(),
      heard: await readHeardProtocols(),
      clientPorts: await readClientPorts(),
      session: await session(),
      schema: await schema(),
    };
    const text = starterPolicy(input);
    if (file === '-') {
      streams.exact(text);
      return EXIT.success;
    }
    await write(file, text);
    for (const { what, why } of leftOutOf(input)) streams.out(`left out: ${what}: ${why}\n`);
    streams.out(`${file}: written; ${nextStep(file)}\n`);
    return EXIT.success;
  },
};

/** The next step: a running daemon applies the policy file as soon as it is saved. */
function nextStep(file: string): string {
  return file === DEFAULT_POLICY_FILE
    ? 'a running daemon applies it at once; `sgctl rollback` takes it back'
    : `\`sgctl plan ${file}\` shows what it would change`;
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** Where the package or scripts/install.sh installed the schema; undefined if neither did. */
async function schema(): Promise<string | undefined> {
  for (const file of ['/usr/share/secgroupd/policy.schema.json', '/etc/secgroupd/policy.schema.json'])
    if (await exists(file)) return file;
  return undefined;
}

async function session(): Promise<StarterInput['session']> {
  const found = await findSshSession();
  const client = found === undefined ? undefined : parseAddress(found.clientAddress);
  return found === undefined || client?.kind !== 'address'
    ? undefined
    : { address: client.address, port: found.serverPort };
}

async function write(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFileAtomically(file, text, 0o644);
  } catch (error) {
    if (error instanceof FileWriteError) throw error;
    throw new CommandError(`cannot write ${file}: ${errorText(error)}`);
  }
}
