import { ICMP_ERRORS, ICMP_REQUEST_OF_REPLY } from '#core/model/policy/platform.ts';
import { ICMP, ICMPV6, type IcmpProtocol } from '#core/model/policy/protocols.ts';
import { type Direction, formatRuleName } from '#core/model/policy/rule.ts';
import { stateOfUnasked } from '#core/model/policy/unasked-icmp.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';
import type { RuleEffect } from './rule-effects.ts';

/** Requirement: a rule matches packets that conntrack does not call invalid, or some interface evaluates those by rules. */
export const unaskedIcmp: LintCheck = ({ effects }) =>
  effects.flatMap(({ origin, occurrences }): readonly LintFinding[] => {
    if (origin.template !== undefined || occurrences.length === 0 || !occurrences.every(isOfInvalidAlone)) return [];
    return [
      {
        code: 'unasked-icmp',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${formatRuleName(origin)}\` has no effect: ICMP replies and errors that belong to a flow pass without a rule, and conntrack calls all others invalid`,
        help: 'remove it; if routes are asymmetric, set `invalid: match` on the interface',
        related: [],
        witness: undefined,
      },
    ];
  });

/** Whether rules ever see a packet of this type: conntrack does not call it invalid, and it does not pass before all rules. */
function canReachRules(protocol: IcmpProtocol, type: number, direction: Direction): boolean {
  if (stateOfUnasked(protocol, type) === 'new') return true;
  // Replies of the host to a flow that the inbound rules now deny are evaluated by the outbound rules.
  if (ICMP_REQUEST_OF_REPLY[protocol].has(type)) return direction === 'outbound';
  return RELATED[protocol](type) && !ICMP_ERRORS[protocol].includes(type);
}

/** The types that conntrack can call related: icmp_is_err() and icmpv6_error() in net/netfilter, redirects and source quench among them. */
const RELATED: Readonly<Record<IcmpProtocol, (type: number) => boolean>> = {
  [ICMP]: (type) => [3, 4, 5, 11, 12].includes(type),
  [ICMPV6]: (type) => type < 128,
};

function isOfInvalidAlone({ scope, lintRule }: RuleEffect['occurrences'][number]): boolean {
  const { traffic, origin } = lintRule.rule;
  if (traffic.kind !== 'icmp' || canReachRules(traffic.protocol, traffic.type, origin.direction)) return false;
  // The scope stands for all interfaces with the same rules.
  return scope.policy.bindings.every(
    (binding) =>
      binding.invalid === 'drop' ||
      ![...scope.policy.management[origin.direction], ...binding[origin.direction]].some(
        (rule) => rule.origin === origin,
      ),
  );
}
