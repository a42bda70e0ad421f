import { whyNoInterface } from '../2-analyze/interface-text.ts';
import type { ListeningSocket } from '../host/listening-sockets.ts';
import { type Address, formatAddress } from '../model/address.ts';
import { addressEntries, entriesContain } from '../model/address-entries.ts';
import type { HostState } from '../model/host.ts';

/** What a starter policy is made from. */
export interface Surroundings {
  readonly host: HostState;
  readonly sockets: readonly ListeningSocket[];
  /** Where the person at work is logged in from, and the port on this host. */
  readonly session: { readonly address: Address; readonly port: number } | undefined;
}

/** Interfaces that container engines and virtual machine managers make and filter themselves. */
const OF_OTHERS = /^(?:docker|br-|veth|virbr|cni|flannel|cali|cilium|podman|lxc|lxd|vnet|tap)/;

/** From here on programs get ports without asking for one (net.ipv4.ip_local_port_range): no service is meant. */
const FIRST_EPHEMERAL = 32_768;

/** The host's own part of what it needs to get its address, which is allowed as platform traffic. */
const CLIENT_PORTS: ReadonlySet<number> = new Set([68, 546]);

const ADMINISTRATION: ReadonlySet<number> = new Set([22, 3389, 8848, 5900, 10_000]);
const DATABASES: ReadonlySet<number> = new Set([1433, 1521, 2379, 3306, 5432, 6379, 9200, 11_211, 27_017]);

/** A policy under which what listens now is reached as before, to be narrowed by hand; all else that comes in is denied. */
export function starterPolicy({ host, sockets, session }: Surroundings): string {
  const services = servicesOf(sockets);
  const names = host.interfaces.map(({ name }) => name).filter((name) => name !== 'lo');
  const own = names.filter((name) => whyNoInterface(name) === undefined && !OF_OTHERS.test(name));
  const others = names.filter((name) => !own.includes(name));
  return `# yaml-language-server: $schema=policy.schema.json
#
# Written by \`sgctl init\` from what this host had: under it, whatever listened is reached as before, ping is answered,
# everything goes out, and all else that comes in is dropped. Narrow it: give each rule the sources that need it.
#
#   sgctl check      is it valid?
#   sgctl plan       what would it change?

version: 1
${management(session)}
securityGroups:
  host:
    inbound:
      - { protocol: icmp, icmp: echo-request, source: any, description: ping }
${services.map(serviceLines).join('')}    outbound:
      - { destination: any }

instances:
  ${quoted(instanceName(host.hostname))}:
    interfaces:
${own.length === 0 ? '      "*": { securityGroups: [host] }\n' : own.map((name) => interfaceLine(name, host)).join('')}${othersNote(others)}`;
}

interface Service {
  readonly protocol: 'tcp' | 'udp';
  readonly ports: readonly number[];
  readonly programs: readonly string[];
}

/** Sockets that can be reached from outside, those of one program and protocol together. */
function servicesOf(sockets: readonly ListeningSocket[]): readonly Service[] {
  const byProgram = new Map<string, { protocol: 'tcp' | 'udp'; ports: Set<number>; programs: Set<string> }>();
  // ssh is never cut, be there a server that can be seen or not.
  byProgram.set('tcp sshd', { protocol: 'tcp', ports: new Set([22]), programs: new Set(['sshd']) });
  for (const { protocol, address, port, program } of sockets) {
    if (address !== undefined && isLoopback(address)) continue;
    if (protocol === 'udp' && (port >= FIRST_EPHEMERAL || CLIENT_PORTS.has(port))) continue;
    const key = `${protocol} ${program ?? port}`;
    const service = byProgram.get(key) ?? { protocol, ports: new Set(), programs: new Set() };
    byProgram.set(key, service);
    service.ports.add(port);
    if (program !== undefined) service.programs.add(program);
  }
  const known = new Set<string>();
  return [...byProgram.values()].flatMap(({ protocol, ports, programs }) => {
    const fresh = [...ports].filter((port) => !known.has(`${protocol} ${port}`));
    for (const port of fresh) known.add(`${protocol} ${port}`);
    return fresh.length === 0
      ? []
      : [{ protocol, ports: fresh.toSorted((a, b) => a - b), programs: [...programs].toSorted() }];
  });
}

function serviceLines({ protocol, ports, programs }: Service): string {
  const note = ports.some((port) => DATABASES.has(port))
    ? '      # A database: name those who need it, such as { securityGroup: web } or 10.0.0.0/8.\n'
    : ports.some((port) => ADMINISTRATION.has(port))
      ? '      # Administration: safer from the addresses you administer from alone.\n'
      : '';
  const description = programs.length === 0 ? 'a program that could not be told' : programs.join(', ');
  const written = ports.length === 1 ? String(ports[0]) : quoted(ports.join(','));
  return `${note}      - { protocol: ${protocol}, ports: ${written}, source: any, description: ${quoted(description)} }\n`;
}

function management(session: Surroundings['session']): string {
  if (session === undefined) {
    return `
# platform:
#   # Asked before all groups, so that no mistake in a group can lock you out: the address you administer from.
#   management:
#     - { protocol: tcp, ports: 22, source: 192.0.2.10 }
`;
  }
  return `
platform:
  # Asked before all groups, so that no mistake in a group can lock you out: where you were logged in from.
  management:
    - { protocol: tcp, ports: ${session.port}, source: ${quoted(formatAddress(session.address))} }
`;
}

function interfaceLine(name: string, { interfaces }: HostState): string {
  const held = interfaces.find((one) => one.name === name)?.addresses ?? [];
  const listed = held.filter((address) => !isLinkLocal(address)).map(formatAddress);
  const note = listed.length === 0 ? '' : ` # ${listed.join(', ')}`;
  return `      ${quoted(name)}: { securityGroups: [host] }${note}\n`;
}

function othersNote(others: readonly string[]): string {
  return others.length === 0
    ? ''
    : `      # Left to those who made them, and unfiltered by this policy: ${others.map(plain).join(', ')}\n`;
}

/** The host's name, if an instance can be called so; else that of every host. */
function instanceName(hostname: string): string {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(hostname) ? hostname : '*';
}

/** A text as YAML has it in double quotes. */
function quoted(text: string): string {
  return JSON.stringify(plain(text));
}

/** What a policy may hold of a name that somebody else chose. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

const LOOPBACK = addressEntries([
  { family: 'ipv4', from: 0x7f00_0000n, to: 0x7fff_ffffn },
  { family: 'ipv6', from: 1n, to: 1n },
]);

const LINK_LOCAL = addressEntries([
  { family: 'ipv4', from: 0xa9fe_0000n, to: 0xa9fe_ffffn },
  { family: 'ipv6', from: 0xfe80n << 112n, to: (0xfec0n << 112n) - 1n },
]);

function isLoopback(address: Address): boolean {
  return entriesContain(LOOPBACK, address);
}

function isLinkLocal(address: Address): boolean {
  return entriesContain(LINK_LOCAL, address);
}
