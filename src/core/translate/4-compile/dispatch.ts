import { liveChain } from '#core/model/nft/label-chains.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import type { InterfaceOf, NftChain, NftRule } from '#core/model/nft/ruleset.ts';
import type { Binding, HostPolicy } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { builtIn } from './built-in-rule.ts';

/** Up to this many interfaces, comparing one after another is cheaper than a hash lookup (31 ns each against 75 to 110). */
const MAX_LINEAR_INTERFACES = 3;

/** What the base chain of one direction is made from. */
export interface DispatchOptions {
  readonly direction: Direction;
  readonly policy: HostPolicy;
  readonly names: ReadonlyMap<Binding, string>;
  /** The chain set for interfaces that the policy does not name; undefined if they are open. */
  readonly unmanaged: string | undefined;
  /** The only chain set, whose labels are tested before anything else. */
  readonly alone: string | undefined;
}

/** The rules of a base chain, which send a packet by its interface to a chain set. */
export function dispatchRules({ direction, policy, names, unmanaged, alone }: DispatchOptions): NftRule[] {
  const { exact, globs } = toRuleChains(direction, policy, names);
  const byDefault: NftRule =
    unmanaged === undefined
      ? builtIn([], { kind: 'accept' }, 'interfaces that the policy does not name')
      : builtIn(
          [],
          { kind: 'goto', chain: ruleChain(direction, unmanaged) },
          'interfaces that the policy does not name',
        );
  return [
    ...(alone === undefined ? [] : [toLive(alone)]),
    ...(direction === 'inbound' && tellsMembers(policy) ? [TO_MEMBERS] : []),
    ...exact,
    byInterface(direction, 'lo' as InterfacePattern, { verdict: { kind: 'accept' }, comment: 'platform:loopback' }),
    ...globs,
    byDefault,
    // Measured: a base chain that ends without a verdict can leak packets while it is replaced, in spite of policy drop.
    builtIn([], { kind: 'drop' }, 'never reached'),
  ];
}

/** The rules that go to chain sets by one of a packet's interfaces: exact names, then globs. */
function toRuleChains(
  of: InterfaceOf,
  { bindings }: HostPolicy,
  names: ReadonlyMap<Binding, string>,
): { readonly exact: readonly NftRule[]; readonly globs: readonly NftRule[] } {
  const chain = (binding: Binding): string =>
    ruleChain(of === 'outbound' ? 'outbound' : 'inbound', names.get(binding) ?? '');
  const toRuleChain = (binding: Binding): NftRule =>
    byInterface(of, binding.pattern, {
      verdict: { kind: 'goto', chain: chain(binding) },
      comment: interfaceComment(binding),
    });
  const exact = bindings.filter(({ pattern }) => !pattern.endsWith('*') && pattern !== 'lo');
  const entries = exact.map((binding) => ({ name: binding.pattern, chain: chain(binding) }));
  return {
    exact:
      exact.length <= MAX_LINEAR_INTERFACES
        ? exact.map(toRuleChain)
        : [builtIn([], { kind: 'interfaceMap', of, entries }, 'interfaces')],
    globs: bindings.filter(({ pattern }) => pattern.endsWith('*')).map(toRuleChain),
  };
}

function byInterface(
  of: InterfaceOf,
  pattern: InterfacePattern,
  { verdict, comment }: Pick<NftRule, 'verdict' | 'comment'>,
): NftRule {
  // nft has no wildcard without a prefix; a pattern that matches every interface needs no match.
  return builtIn(pattern === '*' ? [] : [{ kind: 'interface', of, pattern }], verdict, comment);
}

/** The chain of a chain set for packets of one direction. */
export function ruleChain(direction: Direction, key: string): string {
  return objectName(direction === 'inbound' ? 'in' : 'out', key);
}

const MEMBERS_CHAIN = objectName('members', 'in');

/**
 * A packet that comes in by a member of a VRF has the VRF as its interface, and the member as its slave device
 * (drivers/net/vrf.c, vrf_ip_rcv). A member that the policy names has its own rules; the rules of the VRF are for the
 * others. The rule is always there, so that it applies from the first packet after an interface joins a VRF.
 */
const TO_MEMBERS = builtIn(
  [{ kind: 'inVrf' }],
  { kind: 'jump', chain: MEMBERS_CHAIN },
  'members of VRFs by their own names',
);

/**
 * A packet that the host sends through a VRF passes twice: with the VRF as its interface, untracked by conntrack (since
 * Linux 5.16), and with the member that sends it, for which the rules decide. One to the host itself passes once.
 */
export const TO_VRF = builtIn([{ kind: 'toVrf' }], { kind: 'accept' }, 'judged by the name of the member of the VRF');

/** The chain that sends packets that came in by members of VRFs to the members' chain sets. */
export function membersChain(policy: HostPolicy, names: ReadonlyMap<Binding, string>): NftChain {
  const { exact, globs } = toRuleChains('member', policy, names);
  return { name: MEMBERS_CHAIN, hook: undefined, rules: [...exact, ...globs] };
}

/** Whether the member of a VRF that a packet came by matters: not if all interfaces have the same rules. */
export function tellsMembers({ bindings }: HostPolicy): boolean {
  return bindings.some(({ pattern }) => pattern !== '*');
}

function interfaceComment({ pattern, by, groups }: Binding): string {
  return `${pattern}${by === undefined ? '' : ` (${by.pattern})`}: ${groups.length === 0 ? 'no groups' : groups.join(', ')}`;
}

/** Accepts packets of flows that a chain set has accepted under the rules in force. */
export function toLive(chainSet: string): NftRule {
  return builtIn([{ kind: 'notRelated' }], { kind: 'jump', chain: liveChain(chainSet) }, 'state:judged');
}
