import type { Family } from '#core/model/net/address.ts';
import type { HostInterface } from '#core/model/policy/host.ts';
import { ESP, GRE } from '#core/model/policy/protocols.ts';
import { whyNoInterface } from '#core/read/2-analyze/interface-text.ts';
import type { HeardProtocol } from '#host/heard-protocols.ts';

/** The interfaces of a host, sorted by how a starter policy treats them. */
export interface StarterInterfaces {
  /** Interfaces to filter. */
  readonly own: readonly HostInterface[];
  /** Ports by the name of their master, under which their packets are filtered. */
  readonly ports: ReadonlyMap<string, readonly string[]>;
  /** Interfaces of container engines and the like, which filter them; and names that a policy cannot have. */
  readonly others: readonly string[];
}

/** Interfaces that container engines and virtual machine managers create and filter themselves. */
const OF_OTHERS = /^(?:docker|br-|veth|virbr|cni|flannel|cali|cilium|podman|lxc|lxd|vnet|tap)/;

/** Kinds of interface that lead out of the host as the port of a bridge; hardware has no kind. */
const UPLINKS: ReadonlySet<string | undefined> = new Set([undefined, 'bond', 'team', 'vlan']);

/** In a container, the uplink is an end of a veth pair with the name of hardware. */
const HARDWARE_NAME = /^(?:eth|en|wl)/;

/** Sorts interfaces: those on which the host itself receives, their ports, and those of other programs. */
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
    // Members of a VRF are filtered by their own names; nothing arrives on the VRF itself.
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

/** Whether packets from the ports of `master` are filtered by the name of `carrier`: the bridge itself, or an internal port of Open vSwitch. */
function carries(carrier: HostInterface, master: HostInterface | undefined): boolean {
  return master === carrier || (carrier.kind === 'openvswitch' && master?.kind === 'openvswitch');
}

/** The fallback devices that tunnel modules create themselves; they are not tunnels. */
const FALLBACK = /^(?:gre0|gretap0|erspan0|tunl0|sit0|ip6tnl0|ip6gre0|ip_vti0|ip6_vti0)$/;

const IPV4_IN_IP = 4;
const IPV6_IN_IP = 41;

/** The protocols that carry a tunnel, by the kind of its interface. */
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

/** The protocols that the kernel receives for the tunnels of a host, without a socket. */
export function tunnelProtocols(interfaces: readonly HostInterface[]): readonly HeardProtocol[] {
  return interfaces
    .filter(({ name }) => !FALLBACK.test(name))
    .flatMap(({ name, kind = '' }) =>
      (CARRIERS[kind] ?? []).map(([family, protocol]) => ({ protocol, family, address: undefined, program: name })),
    );
}
