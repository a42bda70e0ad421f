import { findInstance } from '#core/model/policy/find-instance.ts';
import { type HostState, UNKNOWN_HOST } from '#core/model/policy/host.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Acceptance, Policy } from '#core/model/policy/policy.ts';
import { compareSpans } from '#core/model/policy/span.ts';
import { resolveHost } from '#core/read/3-resolve/host-policy.ts';
import type { LintInput } from './check.ts';
import type { LintFinding, LintSubject } from './finding.ts';
import { interfaceNotes } from './interface-notes.ts';
import { type LintScope, lintScopesOf } from './lint-scope.ts';
import { LINT_CHECKS } from './registry.ts';
import { effectsOf } from './rule-effects.ts';

/** Findings about this host, which other hosts do not have. */
const OF_THE_HOST: ReadonlySet<string> = new Set(['judges-nothing', 'unnamed-child']);

/** What lint finds in a policy, and what the policy accepts of it. */
export interface Advice {
  /** In reading order. */
  readonly findings: readonly LintFinding[];
  readonly accepted: readonly { readonly finding: LintFinding; readonly because: string }[];
  /** What was not checked because patience ended. */
  readonly leftOut: readonly string[];
}

const FAMILY_NAMES = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

/** Options of lint. */
export interface LintOptions {
  /** This host, if it is known. */
  readonly host?: HostState | undefined;
  readonly patience?: Patience;
}

/**
 * Checks a policy as resolved for all its instances, while patience lasts; and the interfaces of `host`, if it is one of
 * the instances.
 */
export function lintPolicy(policy: Policy, { host, patience = ENDLESS }: LintOptions = {}): Advice {
  const { linted, leftOut: places } = lookAt(policy, host, patience);
  const leftOut = places.map(
    ({ policy: { instance }, pattern, direction, family }) =>
      `the effects of the rules for ${direction} ${FAMILY_NAMES[family]} on \`${pattern}\` of \`${instance}\``,
  );
  const ofRules = LINT_CHECKS.flatMap(({ about, check }) => {
    try {
      return check(linted);
    } catch (error) {
      if (!(error instanceof OutOfPatience)) throw error;
      leftOut.push(about);
      return [];
    }
  });
  const all = [...ofRules, ...(host === undefined ? [] : lintHost(policy, host))];
  const used = new Set<Acceptance>();
  const findings: LintFinding[] = [];
  const accepted: { readonly finding: LintFinding; readonly because: string }[] = [];
  for (const finding of all) {
    const acceptance = policy.acceptances.find((one) => one.code === finding.code && covers(one, finding.subject));
    if (acceptance === undefined) {
      findings.push(finding);
      continue;
    }
    used.add(acceptance);
    accepted.push({ finding, because: acceptance.because });
  }
  // What was not checked may be there to be accepted.
  const needless = policy.acceptances
    .filter((one) => leftOut.length === 0 && !used.has(one) && !OF_THE_HOST.has(one.code))
    .map(needlessAcceptance);
  return { findings: [...findings, ...needless].toSorted((a, b) => compareSpans(a.span, b.span)), accepted, leftOut };
}

function lookAt(
  policy: Policy,
  host: HostState | undefined,
  patience: Patience,
): { readonly linted: LintInput; readonly leftOut: readonly LintScope[] } {
  const hosts = [...policy.instances.keys()].toSorted().map((name) => resolveHost(policy, UNKNOWN_HOST, name));
  const bindings = [...policy.instances.values()].flatMap(({ interfaces }) => interfaces);
  const unknown = new Set(bindings.filter(({ addresses }) => addresses === 'dynamic').flatMap(({ groups }) => groups));
  const instance = host === undefined ? undefined : findInstance(policy, host);
  const interfaceNames = host?.interfaces.map(({ name }) => name) ?? [];
  const scopes = lintScopesOf(hosts, unknown, instance === undefined ? undefined : { instance, interfaceNames });
  const { effects, leftOut } = effectsOf(scopes, patience);
  return { linted: { policy, hosts, scopes, effects, unknown, patience }, leftOut };
}

function lintHost(policy: Policy, host: HostState): readonly LintFinding[] {
  const name = findInstance(policy, host);
  const instance = name === undefined ? undefined : policy.instances.get(name);
  if (instance === undefined) return [];
  return interfaceNotes(resolveHost(policy, host, instance.name), host).flatMap((note): readonly LintFinding[] => {
    const binding = instance.interfaces.find(({ pattern }) => pattern === note.pattern);
    // Only the daemon sees renamed interfaces: it watches them.
    if (binding === undefined || note.code === 'renamed') return [];
    const { code, message, help } = note;
    return [{ code, span: binding.span, subject: { kind: 'policy' }, message, help, related: [], witness: undefined }];
  });
}

function covers({ scope }: Acceptance, subject: LintSubject): boolean {
  switch (scope.kind) {
    case 'policy':
      return true;
    case 'rule':
      return subject.kind === 'rule' && isSameRule(scope.origin, subject.origin);
    case 'securityGroup':
      return subject.kind === 'rule'
        ? subject.origin.group === scope.name
        : subject.kind === 'securityGroup' && subject.name === scope.name;
    case 'addressGroup':
      return subject.kind === 'addressGroup' && subject.name === scope.name;
  }
}

type RuleKey = Extract<LintSubject, { readonly kind: 'rule' }>['origin'];

function isSameRule(one: Omit<RuleKey, 'span'>, other: RuleKey): boolean {
  return (
    one.group === other.group &&
    one.direction === other.direction &&
    one.index === other.index &&
    one.template === other.template
  );
}

function needlessAcceptance({ code, scope, span }: Acceptance): LintFinding {
  const subject: LintSubject = scope.kind === 'policy' ? { kind: 'policy' } : scope;
  return {
    code: 'needless-acceptance',
    span,
    subject,
    message: `there is no \`${code}\` to accept here`,
    help: 'remove it, so that it hides nothing later',
    related: [],
    witness: undefined,
  };
}
