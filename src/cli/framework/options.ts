import { join } from 'node:path';
import { CONTROL_SOCKET } from '#api/socket-names.ts';
import { type CommandLine, type CommandOption, UsageError } from './command.ts';

/** The default policy file. */
export const DEFAULT_POLICY_FILE = '/etc/secgroupd/policy.yaml';

/** The default directory of the last good script and the history. */
const DEFAULT_STATE_DIRECTORY = '/var/lib/secgroupd';

/** The default directory of the sockets. */
const DEFAULT_RUNTIME_DIRECTORY = '/run/secgroupd';

/** Options that several commands share. */
export const OPTION = {
  help: { type: 'boolean', short: 'h', help: 'print this help' },
  json: { type: 'boolean', help: 'print JSON' },
  policy: { type: 'string', value: 'FILE', help: `the policy file (default ${DEFAULT_POLICY_FILE})` },
  as: {
    type: 'string',
    value: 'PATH',
    help: 'treat FILE as if it were at PATH, with the lists and drop-ins beside PATH; PATH may be one of the drop-ins',
  },
  alone: {
    type: 'boolean',
    help: 'use FILE as it is, with only the lists and drop-ins beside it, instead of in place of the policy file',
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
    help: 'root (default): refuse policy files that users other than root can change, or redirect by a directory or symlink on the path; any: read them',
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

/** The owners whose policy files are trusted. Throws a UsageError for anything but `root` and `any`. */
export function readTrust(line: CommandLine): 'root' | 'any' {
  const trust = line.text('trust') ?? 'root';
  if (trust !== 'root' && trust !== 'any') throw new UsageError(`--trust is root or any, not \`${trust}\``);
  return trust;
}

/** The directory of the last good script. */
export function stateDirectory(line: CommandLine): string {
  return line.text('state-dir') ?? process.env['STATE_DIRECTORY'] ?? DEFAULT_STATE_DIRECTORY;
}
