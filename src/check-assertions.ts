import { resolveHost } from './2-analyze/host-policy.ts';
import type { Diagnostic } from './diagnostics/diagnostic.ts';
import { diagnosticOf } from './diagnostics/report.ts';
import { formatPacket } from './evaluate/packet-text.ts';
import { findViolation, type Violation } from './evaluate/prove-assertion.ts';
import { NO_HOST } from './model/host.ts';
import type { InstanceName } from './model/names.ts';
import type { Assertion, Policy } from './model/policy.ts';
import { formatRuleName } from './model/rule.ts';

/** Proves the assertions of a policy, for each instance they are about; tells of the first packet by which one is broken. */
export function checkAssertions(policy: Policy): readonly Diagnostic[] {
  if (policy.assertions.length === 0) return [];
  return [...policy.instances.keys()].toSorted().flatMap((instance) => {
    const asserted = policy.assertions.filter((one) => one.instance === undefined || one.instance === instance);
    if (asserted.length === 0) return [];
    const hostPolicy = resolveHost(policy, NO_HOST, instance);
    return asserted.flatMap((assertion) => {
      const violation = findViolation(hostPolicy, assertion);
      return violation === undefined ? [] : [diagnosticFor(assertion, instance, violation)];
    });
  });
}

function diagnosticFor(
  { expected, because, span }: Assertion,
  instance: InstanceName,
  { interface: name, decider, witness }: Violation,
): Diagnostic {
  const { rule, action } = decider;
  const verb = action === 'allow' ? 'allows' : 'denies';
  const what =
    rule === undefined
      ? `no rule ${expected === 'allow' ? 'allows' : 'denies'}`
      : `${formatRuleName(rule.origin)} ${verb}`;
  return diagnosticOf({
    code: 'assertion-broken',
    span,
    message: `asserted to be ${expected === 'allow' ? 'allowed' : 'denied'}, but ${what} it on \`${name}\` of \`${instance}\`: ${formatPacket(witness)}`,
    help: because === undefined ? undefined : `it is asserted because ${because}`,
    related: rule === undefined ? [] : [{ span: rule.origin.span, message: `the rule that ${verb} it` }],
  });
}
