import type { Command } from '#cli/framework/command.ts';
import { OPTION } from '#cli/framework/options.ts';
import { LOG_FORMATS, LOG_LEVELS } from '#core/model/policy/log-levels.ts';

/** The options and help of `secgroupd`; the entry point adds `run`. */
export const SECGROUPD: Omit<Command, 'run'> = {
  name: '',
  summary:
    'Enforces a policy file on this host: applies it, watches files and interfaces, and restores its rules if another program changes them.\nSIGHUP reloads everything. SIGTERM stops the daemon and leaves the rules in force.',
  usage: '[--policy FILE] [--instance NAME] [--once]',
  options: {
    policy: OPTION.policy,
    instance: OPTION.instance,
    once: { type: 'boolean', help: 'apply the policy once and exit' },
    'state-dir': OPTION.stateDir,
    'runtime-dir': OPTION.runtimeDir,
    trust: OPTION.trust,
    'log-level': {
      type: 'string',
      value: 'LEVEL',
      choices: LOG_LEVELS,
      help: `${LOG_LEVELS.join(', ')} (default info)`,
    },
    'log-format': {
      type: 'string',
      value: 'FORMAT',
      choices: LOG_FORMATS,
      help: 'text: lines for people (default on a terminal and in the journal); json: one object a line (default elsewhere)',
    },
    version: { type: 'boolean', help: 'print the version' },
    help: OPTION.help,
  },
  maxPositionals: 0,
  exitNo: 'with --once: the policy is not valid',
  examples: ['sudo secgroupd', 'sudo secgroupd --policy /etc/secgroupd/policy.yaml --instance web-1'],
};
