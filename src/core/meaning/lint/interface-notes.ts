import {
  type Binding,
  type HostInterface,
  type HostPolicy,
  type HostState,
  patternMatches,
} from '#core/model/policy/host.ts';

/** What is noteworthy of an interface of this host, in view of the policy. */
export interface InterfaceNote {
  /**
   * `judges-nothing`: IP traffic never has a name that the policy has, for another interface takes it.
   * `unnamed-child`: the policy names what an interface is made on, and not itself. `renamed`: it had a name that the
   * policy has.
   */
  readonly code: 'judges-nothing' | 'unnamed-child' | 'renamed';
  readonly interface: string;
  /** The binding of the policy that it is about. */
  readonly pattern: string;
  readonly message: string;
  readonly help: string;
}

/** What devices are called in messages, by the kind that the kernel says. */
const MASTERS: Readonly<Record<string, string>> = {
  bridge: 'a port of the bridge',
  bond: 'a member of the bond',
  team: 'a port of the team device',
  openvswitch: 'a port of the Open vSwitch datapath',
};

/** Devices whose traffic goes by their own names, and by that of what they are made on only on its way. */
const CHILDREN: Readonly<Record<string, string>> = {
  macvlan: 'a macvlan',
  ipvlan: 'an ipvlan',
  vlan: 'a VLAN',
};

/** The names that judge otherwise than the policy seems to say, in order of the interfaces. */
export function interfaceNotes(
  policy: HostPolicy,
  { interfaces }: Pick<HostState, 'interfaces'>,
): readonly InterfaceNote[] {
  const bindingOf = ({ name }: HostInterface): Binding | undefined =>
    policy.bindings.find(({ pattern }) => patternMatches(pattern, name));
  const byIndex = new Map(interfaces.map((one) => [one.index, one]));
  const names = new Set(interfaces.map(({ name }) => name));
  const at = (index: number | undefined): HostInterface | undefined =>
    index === undefined ? undefined : byIndex.get(index);
  return interfaces
    .filter(({ name }) => name !== 'lo')
    .flatMap((one): readonly InterfaceNote[] => {
      const own = bindingOf(one);
      const master = at(one.master);
      // What is in a VRF is judged by its own name.
      if (master !== undefined && master.kind !== 'vrf')
        return own === undefined ? [] : portNotes({ one, own, master, masters: bindingOf(master), policy });
      if (own !== undefined) return [];
      return [...childNotes({ one, lower: at(one.lower), bindingOf, policy }), ...renameNotes(one, names, policy)];
    });
}

interface Port {
  readonly one: HostInterface;
  readonly own: Binding;
  readonly master: HostInterface;
  readonly masters: Binding | undefined;
  readonly policy: HostPolicy;
}

function portNotes({ one, own, master, masters, policy }: Port): readonly InterfaceNote[] {
  const pattern = own.by?.pattern ?? own.pattern;
  // A glob stands for others too, and says of this one what it says of its master.
  if (masters !== undefined && pattern.endsWith('*')) return [];
  const is = `\`${one.name}\` is ${MASTERS[master.kind ?? ''] ?? 'enslaved to'} \`${master.name}\``;
  const note = { code: 'judges-nothing', interface: one.name, pattern } as const;
  if (masters !== undefined) {
    return [
      {
        ...note,
        message: `${is}, by whose name its packets are judged: the groups of \`${pattern}\` judge nothing on it`,
        help: `take \`${pattern}\` out, or \`${one.name}\` out of \`${master.name}\``,
      },
    ];
  }
  return [
    {
      ...note,
      message: `${is}, which the policy does not name: ${unnamed(policy)} on it`,
      help:
        master.kind === 'openvswitch'
          ? 'name the interface that holds the addresses instead'
          : `name \`${master.name}\` instead`,
    },
  ];
}

interface Child {
  readonly one: HostInterface;
  readonly lower: HostInterface | undefined;
  readonly bindingOf: (one: HostInterface) => Binding | undefined;
  readonly policy: HostPolicy;
}

function childNotes({ one, lower, bindingOf, policy }: Child): readonly InterfaceNote[] {
  const what = CHILDREN[one.kind ?? ''];
  const lowers = lower === undefined ? undefined : bindingOf(lower);
  if (what === undefined || lower === undefined || lowers === undefined || policy.unmanagedInterfaces === 'deny')
    return [];
  return [
    {
      code: 'unnamed-child',
      interface: one.name,
      pattern: lowers.by?.pattern ?? lowers.pattern,
      message: `\`${one.name}\` is ${what} on \`${lower.name}\` with traffic of its own, and the policy does not name it: ${unnamed(policy)} on it`,
      help: `name \`${one.name}\` too`,
    },
  ];
}

function renameNotes(
  { name, formerNames = [] }: HostInterface,
  names: ReadonlySet<string>,
  policy: HostPolicy,
): readonly InterfaceNote[] {
  const former = formerNames.filter((one) => !names.has(one));
  const was = policy.bindings.find(({ pattern }) => former.includes(pattern));
  if (was === undefined) return [];
  return [
    {
      code: 'renamed',
      interface: name,
      pattern: was.pattern,
      message: `\`${was.pattern}\` was renamed to \`${name}\`, which the policy does not name: ${unnamed(policy)} on it`,
      help: `name \`${name}\` instead`,
    },
  ];
}

function unnamed({ unmanagedInterfaces }: HostPolicy): string {
  return unmanagedInterfaces === 'deny' ? 'everything is denied' : 'nothing is judged';
}
