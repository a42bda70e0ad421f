import { formatRuleName } from '#core/model/policy/rule.ts';
import { unrealRemote } from '#core/model/policy/unreal-address.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';

/** Requirement: packets can have the remote that a rule names. A denial of such a remote is intended, unless it is 0.0.0.0 or ::. */
export const unrealRemotes: LintCheck = ({ effects }) =>
  effects.flatMap(({ origin, occurrences }): readonly LintFinding[] => {
    const rule = occurrences[0]?.lintRule.rule;
    const kinds = occurrences.flatMap(({ lintRule: { possible, rule: one } }) =>
      possible === 'any'
        ? [undefined]
        : possible.map((interval) => unrealRemote(interval, origin.direction, one.traffic)),
    );
    const [kind] = kinds;
    if (rule === undefined || kind === undefined || kinds.includes(undefined)) return [];
    if (rule.action === 'deny' && !kinds.includes('unspecified')) return [];
    const end = origin.direction === 'inbound' ? 'comes from' : 'goes to';
    return [
      {
        code: 'unreal-remote',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${formatRuleName(origin)}\` matches nothing: no packet that rules see ${end} ${WHAT[kind]}`,
        help:
          kind === 'unspecified'
            ? 'every address is `any`, `0.0.0.0/0` or `::/0`'
            : 'name the intended hosts, or remove the rule',
        related: [],
        witness: undefined,
      },
    ];
  });

const WHAT = {
  unspecified: 'the address 0.0.0.0 or ::',
  loopback: 'loopback addresses',
  multicast: 'multicast addresses',
  broadcast: 'the broadcast address',
} as const;
