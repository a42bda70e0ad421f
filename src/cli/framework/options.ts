import { join } from 'node:path';
import { CONTROL_SOCKET } from '#api/socket-names.ts';
import { type CommandLine, type CommandOption, UsageError } from './command.ts';

/** Where the policy is unless said otherwise. */
export const DEFAULT_POLICY_FILE = '/etc/secgroupd/policy.yaml';

/** Where the last good script is kept unless said otherwise. */
const DEFAULT_STATE_DIRECTORY = '/var/lib/secgroupd';

/** Where the socket is unless said otherwise. */
const DEFAULT_RUNTIME_DIRECTORY = '/run/secgroupd';

/** Options that several commands have, each said once. */
export const OPTION = {
  help: { type: 'boolean', short: 'h', help: 'print this help' },
  json: { type: 'boolean', help: 'print JSON' },
  policy: { type: 'string', value: 'FILE', help: `the policy file (default ${DEFAULT_POLICY_FILE})` },
  as: {
    type: 'string',
    value: 'PATH',
    help: 'judge FILE as if it stood at PATH, with the lists and drop-ins beside PATH; PATH may be one of the drop-ins',
  },
  alone: {
    type: 'boolean',
    help: 'take FILE as it lies, with the lists and drop-ins beside it alone, and not in the place of the policy file',
  },
  instance: {
    type: 'string',
    value: 'NAME',
    help: 'act as this instance (default: the one that matches this host by machine id, then host name, then "*")',
  },
  stateDir: {
    type: 'string',
    value: 'DIR',
    help: `where the last good rules are kept (default ${DEFAULT_STATE_DIRECTORY})`,
  },
  runtimeDir: {
    type: 'string',
    value: 'DIR',
    help: `where the daemon's socket is (default ${DEFAULT_RUNTIME_DIRECTORY})`,
  },
  trust: {
    type: 'string',
    value: 'OWNER',
    choices: ['root', 'any'],
    help: 'root (default): policy files that others than root can change, or lead elsewhere by a directory or a symlink on the way, are refused; any: they are read',
  },
  yes: { type: 'boolean', short: 'y', help: 'do not ask' },
} as const satisfies Record<string, CommandOption>;

/** The path of the daemon's socket. */
export function socketPath(line: CommandLine): string {
  return join(runtimeDirectory(line), CONTROL_SOCKET);
}

/** The directory of the daemon's sockets. */
export function runtimeDirectory(line: CommandLine): string {
  return line.text('runtime-dir') ?? process.env['RUNTIME_DIRECTORY'] ?? DEFAULT_RUNTIME_DIRECTORY;
}

/** Whose policy files are read. Throws a UsageError for anything but `root` and `any`. */
export function readTrust(line: CommandLine): 'root' | 'any' {
  const trust = line.text('trust') ?? 'root';
  if (trust !== 'root' && trust !== 'any') throw new UsageError(`--trust is root or any, and not \`${trust}\``);
  return trust;
}

/** The directory of the last good script. */
export function stateDirectory(line: CommandLine): string {
  return line.text('state-dir') ?? process.env['STATE_DIRECTORY'] ?? DEFAULT_STATE_DIRECTORY;
}
