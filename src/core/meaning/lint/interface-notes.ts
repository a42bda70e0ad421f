import {
  type Binding,
  type HostInterface,
  type HostPolicy,
  type HostState,
  patternMatches,
} from '#core/model/policy/host.ts';

/** A note on an interface of this host that the policy treats differently than it seems to. */
export interface InterfaceNote {
  /**
   * `judges-nothing`: the policy names an interface whose IP packets have another interface's name.
   * `unnamed-child`: the policy names the interface that this one is made on, and not this one. `renamed`: the policy
   * names the interface by a former name.
   */
  readonly code: 'judges-nothing' | 'unnamed-child' | 'renamed';
  readonly interface: string;
  /** The pattern of the policy in question. */
  readonly pattern: string;
  readonly message: string;
  readonly help: string;
}

/** How messages call a master's ports, by the kind of device that the kernel reports. */
const MASTERS: Readonly<Record<string, string>> = {
  bridge: 'a port of the bridge',
  bond: 'a member of the bond',
  team: 'a port of the team device',
  openvswitch: 'a port of the Open vSwitch datapath',
};

/** Kinds of devices whose packets have the device's own name, not that of the interface it is made on. */
const CHILDREN: Readonly<Record<string, string>> = {
  macvlan: 'a macvlan',
  ipvlan: 'an ipvlan',
  vlan: 'a VLAN',
};

/** Notes on interfaces that the policy treats differently than it seems to, in order of the interfaces. */
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
      // A member of a VRF is judged by its own name.
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
  // A glob names other interfaces too, and matches this one as it matches its master.
  if (masters !== undefined && pattern.endsWith('*')) return [];
  const is = `\`${one.name}\` is ${MASTERS[master.kind ?? ''] ?? 'enslaved to'} \`${master.name}\``;
  const note = { code: 'judges-nothing', interface: one.name, pattern } as const;
  if (masters !== undefined) {
    return [
      {
        ...note,
        message: `${is}, and its packets are judged by that name: the groups of \`${pattern}\` judge nothing on it`,
        help: `remove \`${pattern}\`, or take \`${one.name}\` out of \`${master.name}\``,
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
