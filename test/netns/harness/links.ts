/** One end of a link. */
export interface LinkEnd {
  readonly mac: string;
  /** Addresses without prefix lengths. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly linkLocal: string;
}

/** A cable between the host and the peer at its other end. */
export interface Link {
  /** The interface's name, in both namespaces. */
  readonly name: string;
  readonly host: LinkEnd;
  readonly peer: LinkEnd;
  readonly prefixes: { readonly ipv4: string; readonly ipv6: string };
}

/** One interface of the host to be. */
export interface InterfaceSpec {
  readonly name: string;
  /** The host's address with prefix length, 10.77.N.1/24 unless told; the peer has the next one. */
  readonly ipv4?: string;
  /** The same for IPv6; fd77:N::1/64 unless told. */
  readonly ipv6?: string;
}

/**
 * `static`: every address lies behind the peer, whose MAC the host knows, so nothing waits for ARP or neighbour
 * discovery. `resolved`: ordinary on-link prefixes, resolved on the wire.
 */
export type Neighbors = 'static' | 'resolved';

/** The link of the `index`th interface. */
export function planLink(spec: InterfaceSpec, index: number): Link {
  const [ipv4 = '', ipv4Prefix = '32'] = (spec.ipv4 ?? `10.77.${index}.1/24`).split('/');
  const [ipv6 = '', ipv6Prefix = '128'] = (spec.ipv6 ?? `fd77:${index}::1/64`).split('/');
  const octet = index.toString(16).padStart(2, '0');
  return {
    name: spec.name,
    host: { mac: `02:68:00:00:00:${octet}`, ipv4, ipv6, linkLocal: 'fe80::1' },
    peer: { mac: `02:70:00:00:00:${octet}`, ipv4: nextAddress(ipv4), ipv6: nextAddress(ipv6), linkLocal: 'fe80::2' },
    prefixes: { ipv4: ipv4Prefix, ipv6: ipv6Prefix },
  };
}

function nextAddress(address: string): string {
  const radix = address.includes('.') ? 10 : 16;
  return address.replace(/[0-9a-f]+$/i, (last) => (Number.parseInt(last, radix) + 1).toString(radix));
}

/** The `ip` command that makes the pair in its two namespaces: not for a moment does the machine's own see it. */
export function pairCommand({ name, host, peer }: Link, hostNamespace: string, peerNamespace: string): string {
  return (
    `link add name ${name} netns ${hostNamespace} address ${host.mac} type veth ` +
    `peer name ${name} netns ${peerNamespace} address ${peer.mac}`
  );
}

/** The `ip` commands that give one end its addresses, routes and neighbours; of several links, the first is preferred. */
export function endCommands(link: Link, end: 'host' | 'peer', neighbors: Neighbors, index: number): string[] {
  const { name, prefixes } = link;
  const own = link[end];
  const other = link[end === 'host' ? 'peer' : 'host'];
  const device = `dev ${name}`;
  const metric = `metric ${100 + index}`;
  const isStatic = neighbors === 'static';
  const route = isStatic ? 'noprefixroute' : '';
  return [
    // gso_max_segs 1: what a TCP socket sends is seen as the packets it is.
    `link set ${name} addrgenmode none gso_max_segs 1 up`,
    `address add ${own.ipv4}/${prefixes.ipv4} ${device} ${route}`,
    `address add ${own.ipv6}/${prefixes.ipv6} ${device} nodad ${route}`,
    `address add ${own.linkLocal}/64 ${device} nodad ${route}`,
    ...(isStatic
      ? [
          ...[other.ipv4, other.ipv6, other.linkLocal].map(
            (address) => `neighbour add ${address} lladdr ${other.mac} ${device} nud permanent`,
          ),
          // A gateway must itself be on-link; in IPv4 `onlink` says so.
          `route add ${other.linkLocal}/128 ${device} ${metric}`,
        ]
      : []),
    `route add default via ${other.ipv4} ${device} onlink ${metric}`,
    `route add default via ${other.linkLocal} ${device} ${metric}`,
  ];
}
