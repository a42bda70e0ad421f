import type { Address, Family } from '#core/model/net/address.ts';
import { addressEntries, entriesContain } from '#core/model/net/address-entries.ts';
import { hasFlows, icmpProtocol, protocolTitle } from '#core/model/policy/protocol-lookup.ts';
import { ESP, type FlowProtocolName } from '#core/model/policy/protocols.ts';
import type { HeardProtocol } from '#host/heard-protocols.ts';
import { type ClientPorts, DEFAULT_CLIENT_PORTS, type ListeningSocket } from '#host/listening-sockets.ts';

/** TCP or UDP ports of a program that are reachable from outside. */
export interface Service {
  readonly protocol: FlowProtocolName;
  readonly ports: readonly number[];
  readonly programs: readonly string[];
  /** Whether a port is in the range of client ports. */
  readonly isClientPort: boolean;
}

/** An IP protocol other than TCP and UDP that the host receives. */
export interface OtherProtocol {
  readonly protocol: number;
  /** Undefined stands for both. */
  readonly family: Family | undefined;
  readonly description: string;
}

/** Everything that is reachable from outside. */
export interface Services {
  readonly services: readonly Service[];
  readonly protocols: readonly OtherProtocol[];
  /** Programs that receive ICMPv6, without network clients: they may advertise routers. */
  readonly solicitations: readonly string[];
  /** Listening sockets that the reader of the policy has to decide on. */
  readonly doubtful: Doubtful;
}

/** Sockets that may or may not be services. */
export interface Doubtful {
  /** UDP ports that look like a client's: in the client range, of a program that serves on another port. */
  readonly clients: readonly Service[];
  /** Programs that receive ICMP, TCP or UDP on raw sockets, in addition to the kernel. */
  readonly eavesdroppers: readonly OtherProtocol[];
}

/** DHCP client ports, which platform traffic allows. */
const CLIENT_PORTS: ReadonlySet<number> = new Set([68, 546]);

/** Internet Key Exchange: it implies the kernel's IPsec. */
const IKE_PORTS: ReadonlySet<number> = new Set([500, 4500]);

/** Programs that receive ICMPv6 for router advertisements to this host, which are platform traffic, or for replies. */
const CLIENTS_OF_ROUTERS =
  /^(?:systemd-network|NetworkManager|dhcpcd|connmand|wicked|rdisc|ping|fping|traceroute|tracepath|mtr)/;

/** Sorts the sockets of a host into services that are reachable from outside and doubtful ones. */
export function servicesOf(
  sockets: readonly ListeningSocket[],
  heard: readonly HeardProtocol[],
  clientPorts: ClientPorts = DEFAULT_CLIENT_PORTS,
): Services {
  const reachable = sockets.filter(
    ({ protocol, address, port }) => !isLoopback(address) && !(protocol === 'udp' && CLIENT_PORTS.has(port)),
  );
  const isOfClients = ({ protocol, port }: ListeningSocket): boolean =>
    protocol === 'udp' && port >= clientPorts.from && port <= clientPorts.to;
  const doubted = reachable.filter((socket) => isOfClients(socket) && isByChance(socket, reachable, isOfClients));
  const heardFromOutside = heard.filter(({ address }) => !isLoopback(address));
  const icmp = heardFromOutside.filter(({ protocol, family }) => protocol === icmpProtocol(family));
  const hasIke = reachable.some(({ protocol, port }) => protocol === 'udp' && IKE_PORTS.has(port));
  return {
    services: byProgram(
      [...assumedSshd(reachable), ...reachable.filter((socket) => !doubted.includes(socket))],
      isOfClients,
    ),
    protocols: byProtocol([
      ...heardFromOutside.filter((entry) => !icmp.includes(entry) && !hasFlows(entry.protocol)),
      // The kernel receives it without a socket.
      ...(hasIke ? IPSEC : []),
    ]),
    solicitations: programsOf(
      icmp.filter(({ family, program }) => family === 'ipv6' && !CLIENTS_OF_ROUTERS.test(program ?? '')),
    ),
    doubtful: {
      clients: byProgram(doubted, isOfClients),
      eavesdroppers: byProtocol(
        heardFromOutside.filter(
          ({ protocol, family, program }) =>
            hasFlows(protocol) ||
            (protocol === icmpProtocol(family) && !(family === 'ipv6' && CLIENTS_OF_ROUTERS.test(program ?? ''))),
        ),
      ),
    },
  };
}

/**
 * INVARIANT: a starter policy never cuts ssh. Where no reachable socket is known to be sshd's, as when systemd listens
 * for it, another user asks, or it is down at the moment, port 22 is taken for it; whatever else listens is let in anyway.
 */
function assumedSshd(reachable: readonly ListeningSocket[]): readonly ListeningSocket[] {
  return reachable.some(({ protocol, program }) => protocol === 'tcp' && program === 'sshd')
    ? []
    : [{ protocol: 'tcp', port: 22, address: undefined, program: 'sshd' }];
}

const IPSEC: readonly HeardProtocol[] = (['ipv4', 'ipv6'] as const).map((family) => ({
  protocol: ESP,
  family,
  address: undefined,
  program: undefined,
}));

/**
 * Whether a UDP socket in the range of client ports belongs to a client that asks many servers from one port: its program
 * serves on another port, and nothing suggests a service on this one. A service requests its port, and so has it for both
 * families or for TCP too; the kernel's own sockets, such as WireGuard's, have no program.
 */
function isByChance(
  { port, program, process, address }: ListeningSocket,
  all: readonly ListeningSocket[],
  isOfClients: (socket: ListeningSocket) => boolean,
): boolean {
  if (program === undefined) return false;
  const isOnOtherFamily = (other: ListeningSocket): boolean =>
    address !== undefined && other.address !== undefined && other.address.family !== address.family;
  const twin = all.filter((other) => other.port === port);
  if (twin.some((other) => other.protocol === 'tcp' || isOnOtherFamily(other))) return false;
  if (twin.filter((other) => other.address === undefined).length > 1) return false;
  return all.some(
    (other) => other.program === program && other.process === process && other.port !== port && !isOfClients(other),
  );
}

/** Groups sockets by program and protocol, client ports apart; each port once. */
function byProgram(
  sockets: readonly ListeningSocket[],
  isOfClients: (socket: ListeningSocket) => boolean,
): readonly Service[] {
  interface Gathered {
    readonly protocol: FlowProtocolName;
    readonly ports: Set<number>;
    readonly programs: Set<string>;
    readonly isClientPort: boolean;
  }
  const gathered = new Map<string, Gathered>();
  for (const socket of sockets) {
    const { protocol, port, program } = socket;
    const isClientPort = isOfClients(socket);
    const key = `${protocol} ${program ?? port} ${isClientPort}`;
    const service = gathered.get(key) ?? { protocol, ports: new Set(), programs: new Set(), isClientPort };
    gathered.set(key, service);
    service.ports.add(port);
    if (program !== undefined) service.programs.add(program);
  }
  const seen = new Set<string>();
  return [...gathered.values()].flatMap(({ protocol, ports, programs, isClientPort }) => {
    const fresh = [...ports].filter((port) => !seen.has(`${protocol} ${port}`));
    for (const port of fresh) seen.add(`${protocol} ${port}`);
    return fresh.length === 0
      ? []
      : [{ protocol, ports: fresh.toSorted((a, b) => a - b), programs: [...programs].toSorted(), isClientPort }];
  });
}

/** Each protocol once, for the family in which it is received, or both. */
function byProtocol(heard: readonly HeardProtocol[]): readonly OtherProtocol[] {
  const protocols = [...new Set(heard.map(({ protocol }) => protocol))].toSorted((a, b) => a - b);
  return protocols.map((protocol) => {
    const same = heard.filter((entry) => entry.protocol === protocol);
    const [family, ...others] = new Set(same.map((entry) => entry.family));
    return {
      protocol,
      family: others.length === 0 ? family : undefined,
      description: [protocolTitle(protocol), ...programsOf(same)].join(', '),
    };
  });
}

function programsOf(heard: readonly HeardProtocol[]): readonly string[] {
  return [...new Set(heard.flatMap(({ program }) => program ?? []))].toSorted();
}

const LOOPBACK = addressEntries([
  { family: 'ipv4', from: 0x7f00_0000n, to: 0x7fff_ffffn },
  { family: 'ipv6', from: 1n, to: 1n },
]);

function isLoopback(address: Address | undefined): boolean {
  return address !== undefined && entriesContain(LOOPBACK, address);
}
