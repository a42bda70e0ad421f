import { whyNoInterface } from '#core/read/2-analyze/interface-text.ts';
import type { HeardProtocol } from '#host/heard-protocols.ts';
import type { Family } from '#core/model/net/address.ts';
import type { HostInterface } from '#core/model/policy/host.ts';
import { ESP, GRE } from '#core/model/policy/protocols.ts';

/** The interfaces of a host, as a starter policy is about them. */
export interface StarterInterfaces {
  /** Those that are filtered. */
  readonly own: readonly HostInterface[];
  /** By the names of others: those whose packets have another name when they are judged. */
  readonly ports: ReadonlyMap<string, readonly string[]>;
  /** Those of container engines and the like, which filter themselves; and names that a policy cannot have. */
  readonly others: readonly string[];
}

/** Interfaces that container engines and virtual machine managers make and filter themselves. */
const OF_OTHERS = /^(?:docker|br-|veth|virbr|cni|flannel|cali|cilium|podman|lxc|lxd|vnet|tap)/;

/** What leads out of the host when a bridge has it for a port: hardware has no kind. */
const UPLINKS: ReadonlySet<string | undefined> = new Set([undefined, 'bond', 'team', 'vlan']);

/** In a container, the way out is an end of a veth pair that has the name of hardware. */
const HARDWARE_NAME = /^(?:eth|en|wl)/;

/** Tells the interfaces that carry what the host itself receives from those that only bring it, and from those of others. */
export function starterInterfaces(interfaces: readonly HostInterface[]): StarterInterfaces {
  const byIndex = new Map(interfaces.map((one) => [one.index, one]));
  const masterOf = ({ master }: HostInterface): HostInterface | undefined =>
    master === undefined ? undefined : byIndex.get(master);
  const isUplink = ({ kind, name }: HostInterface): boolean =>
    UPLINKS.has(kind) ? !OF_OTHERS.test(name) : kind === 'veth' && HARDWARE_NAME.test(name);
  const own: HostInterface[] = [];
  const ports = new Map<string, string[]>();
  const others: string[] = [];
  for (const one of interfaces) {
    if (one.name === 'lo') continue;
    const master = masterOf(one);
    // Members of a VRF are judged by their own names, and the VRF is no way into the host.
    if (master !== undefined && master.kind !== 'vrf') {
      ports.set(master.name, [...(ports.get(master.name) ?? []), one.name]);
      continue;
    }
    const hasUplink = interfaces.some(
      (port) => masterOf(port) !== undefined && carries(one, masterOf(port)) && isUplink(port),
    );
    const isOfOthers = OF_OTHERS.test(one.name) && !hasUplink;
    if (one.kind === 'vrf' || whyNoInterface(one.name) !== undefined || isOfOthers) others.push(one.name);
    else own.push(one);
  }
  return { own, ports, others };
}

/** Whether what comes in by the ports of `master` is judged by the name of `one`: the bridge itself, or one of Open vSwitch. */
function carries(one: HostInterface, master: HostInterface | undefined): boolean {
  return master === one || (one.kind === 'openvswitch' && master?.kind === 'openvswitch');
}

/** The devices that the modules of tunnels make by themselves; they are nobody's tunnel. */
const FALLBACK = /^(?:gre0|gretap0|erspan0|tunl0|sit0|ip6tnl0|ip6gre0|ip_vti0|ip6_vti0)$/;

const IPV4_IN_IP = 4;
const IPV6_IN_IP = 41;

/** What carries a tunnel, by the kind that the kernel says of its interface. */
const CARRIERS: Readonly<Record<string, readonly (readonly [family: Family, protocol: number])[]>> = {
  gre: [['ipv4', GRE]],
  gretap: [['ipv4', GRE]],
  erspan: [['ipv4', GRE]],
  ip6gre: [['ipv6', GRE]],
  ip6gretap: [['ipv6', GRE]],
  ip6erspan: [['ipv6', GRE]],
  ipip: [['ipv4', IPV4_IN_IP]],
  sit: [['ipv4', IPV6_IN_IP]],
  ip6tnl: [
    ['ipv6', IPV4_IN_IP],
    ['ipv6', IPV6_IN_IP],
  ],
  vti: [['ipv4', ESP]],
  vti6: [['ipv6', ESP]],
  xfrm: [
    ['ipv4', ESP],
    ['ipv6', ESP],
  ],
};

/** What the kernel takes in for the tunnels of a host, without any socket. */
export function tunnelProtocols(interfaces: readonly HostInterface[]): readonly HeardProtocol[] {
  return interfaces
    .filter(({ name }) => !FALLBACK.test(name))
    .flatMap(({ name, kind = '' }) =>
      (CARRIERS[kind] ?? []).map(([family, protocol]) => ({ protocol, family, address: undefined, program: name })),
    );
}
