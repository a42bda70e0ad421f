import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { diagnosticOf } from '#core/diagnostics/report.ts';
import { formatPacket } from '#core/meaning/evaluate/packet-text.ts';
import { findInstance } from '#core/model/policy/find-instance.ts';
import { type HostState, UNKNOWN_HOST } from '#core/model/policy/host.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Assertion, Policy } from '#core/model/policy/policy.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';
import { resolveHost } from '#core/read/3-resolve/host-policy.ts';
import { createProver, type Violation } from './prove-assertion.ts';

/**
 * Proves the assertions of a policy for each instance that they name. Reports the first packet that breaks each, and the
 * assertions that were not proved while `patience` lasted. Packets of the instance that is `host` are on its interfaces;
 * whether an assertion holds does not depend on the host.
 */
export function checkAssertions(policy: Policy, patience: Patience, host?: HostState): readonly Diagnostic[] {
  if (policy.assertions.length === 0) return [];
  const here = host === undefined ? undefined : findInstance(policy, host);
  const names = host?.interfaces.map(({ name }) => name) ?? [];
  const prover = createProver(patience);
  const unproved = new Set<Assertion>();
  const broken = [...policy.instances.keys()].toSorted().flatMap((instance) => {
    const asserted = policy.assertions.filter(
      (assertion) => assertion.instance === undefined || assertion.instance === instance,
    );
    if (asserted.length === 0) return [];
    const interfaceNames = instance === here ? names : [];
    const proofs = prover.prove(resolveHost(policy, UNKNOWN_HOST, instance), asserted, interfaceNames);
    return asserted.flatMap((assertion, place) => {
      const proof = proofs[place];
      if (proof?.kind === 'unknown') unproved.add(assertion);
      return proof?.kind === 'broken'
        ? [diagnosticFor(assertion, instance, { ...proof.violation, interfaceNames })]
        : [];
    });
  });
  return [
    ...broken,
    ...[...unproved].map((assertion) => unprovedDiagnostic(assertion, `within ${patience.seconds} s`)),
  ];
}

/** The diagnostic for an assertion that was not proved; `why` completes "whether the rules keep to this could not be proved". */
export function unprovedDiagnostic({ span }: Assertion, why: string): Diagnostic {
  return diagnosticOf({
    code: 'assertion-unproved',
    span,
    message: `whether the rules keep to this could not be proved ${why}, and what is not proved counts as broken`,
    help: 'assert it of one `instance`, assert less in one file, or have fewer rules whose ports and addresses overlap',
  });
}

function diagnosticFor(
  { expected, because, span }: Assertion,
  instance: InstanceName,
  { interface: name, decision, witness, interfaceNames }: Violation & { readonly interfaceNames: readonly string[] },
): Diagnostic {
  const { rule, action } = decision;
  const verb = action === 'allow' ? 'allows' : 'denies';
  const what =
    rule === undefined
      ? `no rule ${expected === 'allow' ? 'allows' : 'denies'}`
      : `${formatRuleName(rule.origin)} ${verb}`;
  const isExample = name !== witness.interface && interfaceNames.includes(witness.interface);
  const where = isExample ? `, on ${witness.interface}` : '';
  return diagnosticOf({
    code: 'assertion-broken',
    span,
    message: `asserted to be ${expected === 'allow' ? 'allowed' : 'denied'}, but ${what} it on \`${name}\` of \`${instance}\`: ${formatPacket(witness)}${where}`,
    help: because === undefined ? undefined : `it is asserted because ${because}`,
    related: rule === undefined ? [] : [{ span: rule.origin.span, message: `the rule that ${verb} it` }],
  });
}
