import fc from 'fast-check';
import type { Family } from '#core/model/net/address.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import type { PlainIcmp, PlainRemote, PlainRule } from '../oracle/plain-policy.ts';
import { literalOf, PORTS } from './arbitrary-literals.ts';

/** A remote before the groups have names: groups are numbered, and numbers beyond the last group start over. */
type RemoteDraft = string | { readonly securityGroup: number } | { readonly addressGroup: number };

/** A rule before it stands in a list: `remote` becomes its `source` or `destination`. */
export interface RuleDraft extends Omit<PlainRule, 'source' | 'destination'> {
  readonly remote: RemoteDraft;
}

/** The names a draft's numbers stand for. */
export interface Names {
  readonly securityGroups: readonly string[];
  readonly addressGroups: readonly string[];
}

/** The families a rule is for. */
type Families = Family | 'both';

/** Words that mean a type in one family or in both. */
const ICMP_WORDS: Record<Families, readonly string[]> = {
  both: ['echo-request', 'echo-reply', 'destination-unreachable', 'time-exceeded', 'parameter-problem'],
  ipv4: ['echo-request', 'echo-reply', 'redirect', 'timestamp-request', 'timestamp-reply'],
  ipv6: ['echo-request', 'echo-reply', 'packet-too-big', 'destination-unreachable'],
};
const ICMP_NUMBERS: Record<Families, readonly number[]> = {
  both: [0, 3, 8, 128, 255],
  ipv4: [0, 3, 8, 11, 13, 17, 18, 255],
  ipv6: [0, 1, 3, 128, 129, 130, 134, 135, 139, 140, 255],
};

function icmpOf(families: Families): fc.Arbitrary<PlainIcmp> {
  const number = fc.constantFrom(...ICMP_NUMBERS[families]);
  return fc.oneof(
    { withCrossShrink: true },
    number,
    fc.constantFrom(...ICMP_WORDS[families]),
    fc.record({ type: number, code: fc.constantFrom(0, 1, 3, 4, 255) }),
    fc.record({ type: fc.constant('destination-unreachable'), code: fc.constantFrom(0, 'port-unreachable') }),
  );
}

type Matched = Pick<PlainRule, 'protocol' | 'ports' | 'icmp'>;

function matchedOf(families: Families): fc.Arbitrary<Matched> {
  const withPorts = fc.record(
    { protocol: fc.constantFrom<string | number>('tcp', 'tcp', 'udp', 6, 17), ports: PORTS },
    { requiredKeys: ['protocol'] },
  );
  // The number that is ICMP in one family is a protocol without types in the other.
  const icmpNames = { both: ['icmp'], ipv4: ['icmp', 1], ipv6: ['icmp', 58] }[families];
  const withTypes = fc.record(
    { protocol: fc.constantFrom(...icmpNames), icmp: icmpOf(families) },
    { requiredKeys: ['protocol'] },
  );
  const alone = fc.constantFrom<string | number>('gre', 47, 0, 1, 58, 132, 253, 255);
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 2, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constant({ protocol: 'all' }) },
    { weight: 7, arbitrary: withPorts },
    { weight: 4, arbitrary: withTypes },
    { weight: 2, arbitrary: alone.map((protocol) => ({ protocol })) },
  );
}

type Aimed = Pick<RuleDraft, 'type' | 'remote'>;

function aimedOf(families: Families): fc.Arbitrary<Aimed> {
  const index = fc.nat({ max: 3 });
  const named = fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: fc.constant('any') },
    { weight: 2, arbitrary: fc.constant('self') },
    { weight: 3, arbitrary: index.map((securityGroup) => ({ securityGroup })) },
    { weight: 4, arbitrary: index.map((addressGroup) => ({ addressGroup })) },
  );
  if (families === 'both') return named.map((remote) => ({ remote }));
  const type = fc.constant(families);
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: fc.record({ type, remote: literalOf(families) }, { requiredKeys: ['remote'] }) },
    { weight: 2, arbitrary: fc.record({ type, remote: named }) },
  );
}

/** Text that a script or a comment has to carry unharmed, or cut. */
const DESCRIPTIONS = ['ping', `it's "quoted" # {x}; \\n $y * drop`, `${'ü'.repeat(100)} \u{1f9f1}`];

const MANNERS = fc.record(
  {
    action: fc.constantFrom('allow' as const, 'deny' as const, 'deny' as const),
    priority: fc.constantFrom(1, 1, 2, 2, 3, 50, 99, 100),
    enabled: fc.constantFrom(true, true, true, false),
    description: fc.constantFrom(...DESCRIPTIONS),
  },
  { requiredKeys: [] },
);

function ruleOf(families: Families): fc.Arbitrary<RuleDraft> {
  return fc
    .tuple(MANNERS, matchedOf(families), aimedOf(families))
    .map(([manners, matched, aimed]) => ({ ...manners, ...matched, ...aimed }));
}

/** Valid rules of one family or both, of every kind the format has. */
export const RULE: fc.Arbitrary<RuleDraft> = fc.oneof(
  { withCrossShrink: true },
  { weight: 2, arbitrary: ruleOf('both') },
  { weight: 3, arbitrary: ruleOf('ipv4') },
  { weight: 2, arbitrary: ruleOf('ipv6') },
);

/** The rule as it stands in a list of `direction`; a remote that no name can be had for is `any`. */
export function placeRule({ remote, ...rule }: RuleDraft, direction: Direction, names: Names): PlainRule {
  const placed = placeRemote(remote, names);
  return direction === 'inbound' ? { ...rule, source: placed } : { ...rule, destination: placed };
}

function placeRemote(remote: RemoteDraft, { securityGroups, addressGroups }: Names): PlainRemote {
  if (typeof remote === 'string') return remote;
  if ('securityGroup' in remote) {
    const securityGroup = securityGroups[remote.securityGroup % securityGroups.length];
    return securityGroup === undefined ? 'any' : { securityGroup };
  }
  const addressGroup = addressGroups[remote.addressGroup % addressGroups.length];
  return addressGroup === undefined ? 'any' : { addressGroup };
}

/** The rule as it can stand in `management`, which is no group and so has no `self`. */
export function placeManagementRule(rule: RuleDraft, direction: Direction, names: Names): PlainRule {
  return placeRule(rule.remote === 'self' ? { ...rule, remote: 'any' } : rule, direction, names);
}
