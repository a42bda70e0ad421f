import type { Binding, HostPolicy } from '#core/model/policy/host.ts';
import { liveChain } from '#core/model/nft/label-chains.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import type { InterfaceOf, NftChain, NftRule } from '#core/model/nft/ruleset.ts';
import { builtIn } from './built-in-rule.ts';

/** Up to this many names, comparing one after the other is cheaper than a hash lookup (31 against 75 to 110 ns). */
const FEW_INTERFACES = 3;

/** What leads packets of one direction to who judges them. */
export interface DispatchOptions {
  readonly direction: Direction;
  readonly policy: HostPolicy;
  readonly names: ReadonlyMap<Binding, string>;
  /** Whose chains judge what comes by interfaces that the policy does not name; undefined where they are open. */
  readonly unmanaged: string | undefined;
  /** Whose labels are asked for before anything else. */
  readonly alone: string | undefined;
}

/** The rules of a base chain, which lead a packet by its interface to who judges it. */
export function dispatchRules({ direction, policy, names, unmanaged, alone }: DispatchOptions): NftRule[] {
  const { exact, globs } = toRuleChains(direction, policy, names);
  const rest: NftRule =
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
    rest,
    // Measured: a base chain that ends without a verdict can leak while it is replaced, policy drop or not.
    builtIn([], { kind: 'drop' }, 'never reached'),
  ];
}

/** The rules that lead to who judges, by one of a packet's interfaces: exact names, then globs. */
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
      exact.length <= FEW_INTERFACES
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
  // nft has no wildcard that is nothing but one; what matches every interface needs no match.
  return builtIn(pattern === '*' ? [] : [{ kind: 'interface', of, pattern }], verdict, comment);
}

/** The chain by which a judge judges packets of one direction. */
export function ruleChain(direction: Direction, key: string): string {
  return objectName(direction === 'inbound' ? 'in' : 'out', key);
}

const MEMBERS_CHAIN = objectName('members', 'in');

/**
 * What comes in by a member of a VRF has the VRF's name, and the member's as that of the device it was taken from
 * (drivers/net/vrf.c, vrf_ip_rcv). The policy's names are of members first; what it says of the VRF is about those that it
 * does not name. Always there, so that an interface is judged from the first packet after it is put into a VRF.
 */
const TO_MEMBERS = builtIn(
  [{ kind: 'inVrf' }],
  { kind: 'jump', chain: MEMBERS_CHAIN },
  'members of VRFs by their own names',
);

/**
 * What the host sends by a VRF comes by twice: as the VRF's, which conntrack does not know (since Linux 5.16), and as the
 * member's that takes it, which is judged. What goes to the host itself within the VRF comes by once.
 */
export const TO_VRF = builtIn([{ kind: 'toVrf' }], { kind: 'accept' }, 'judged by the name of the member of the VRF');

/** The chain that leads what came in by members of VRFs to who judges it. */
export function membersChain(policy: HostPolicy, names: ReadonlyMap<Binding, string>): NftChain {
  const { exact, globs } = toRuleChains('member', policy, names);
  return { name: MEMBERS_CHAIN, hook: undefined, rules: [...exact, ...globs] };
}

/** Whether it matters which member of a VRF a packet came by: not where all interfaces are judged alike. */
export function tellsMembers({ bindings }: HostPolicy): boolean {
  return bindings.some(({ pattern }) => pattern !== '*');
}

function interfaceComment({ pattern, by, groups }: Binding): string {
  return `${pattern}${by === undefined ? '' : ` (${by.pattern})`}: ${groups.length === 0 ? 'no groups' : groups.join(', ')}`;
}

/** Lets packets through whose flow a judge has let in under the rules in force now. */
export function toLive(chainSet: string): NftRule {
  return builtIn([{ kind: 'notRelated' }], { kind: 'jump', chain: liveChain(chainSet) }, 'state:judged');
}
