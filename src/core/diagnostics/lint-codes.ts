/** How grave a finding is, and what is true where there is none. */
interface LintRule {
  readonly severity: 'warning' | 'info';
  readonly requirement: string;
}

/**
 * What the advisor finds, and how grave each is. Codes are a contract with scripts and with the `lint` key of policy
 * files: they are added, never renamed.
 */
export const LINT_CODES = {
  'world-open': { severity: 'warning', requirement: 'Administration and databases are not open to the world.' },
  'full-access': { severity: 'warning', requirement: 'Sys-FullAccess protects nothing.' },
  'all-traffic': { severity: 'warning', requirement: 'A rule open to everyone names its traffic.' },
  'shadowed-rule': { severity: 'warning', requirement: 'A rule decides on some packet.' },
  'opposite-actions': { severity: 'warning', requirement: 'Two rules of a group about the same packets say the same.' },
  'empty-remote': { severity: 'warning', requirement: 'The other end of a rule is somebody.' },
  'unreal-remote': { severity: 'warning', requirement: 'Packets have the other end that a rule names.' },
  'unasked-icmp': { severity: 'info', requirement: 'A rule is about packets that conntrack does not call invalid.' },
  'cuts-management': { severity: 'warning', requirement: 'No denial keeps everybody from logging in.' },
  'judges-nothing': {
    severity: 'warning',
    requirement:
      'A name of the policy is one that IP traffic has: not that of a port of a bridge, or a member of a bond.',
  },
  'unnamed-child': {
    severity: 'info',
    requirement: 'What is made on an interface that the policy names, and has traffic of its own, is named too.',
  },
  'duplicate-rule': { severity: 'info', requirement: 'A rule stands in a group once.' },
  'redundant-rule': { severity: 'info', requirement: 'Without a rule, some packet would be judged otherwise.' },
  'ipv4-only': { severity: 'info', requirement: 'What is let in from everywhere over IPv4 is over IPv6 too.' },
  'implicit-priority': { severity: 'info', requirement: 'Where priority decides between two rules, both say theirs.' },
  'unused-group': {
    severity: 'info',
    requirement: 'A security group is attached to an interface, or named by a rule.',
  },
  'unused-address-group': { severity: 'info', requirement: 'An address group is named by a rule.' },
  'needless-acceptance': {
    severity: 'info',
    requirement: "What is accepted of the advisor's findings is one of them.",
  },
} as const satisfies Record<string, LintRule>;

/** A code of the advisor. */
export type LintCode = keyof typeof LINT_CODES;
