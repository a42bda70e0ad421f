import { type Address, formatAddress } from '#core/model/net/address.ts';
import { addressEntries, entriesContain } from '#core/model/net/address-entries.ts';
import type { HostInterface, HostState } from '#core/model/policy/host.ts';
import type { HeardProtocol } from '#host/heard-protocols.ts';
import type { ClientPorts, ListeningSocket } from '#host/listening-sockets.ts';
import { type StarterInterfaces, starterInterfaces, tunnelProtocols } from './starter-interfaces.ts';
import { type OtherProtocol, type Service, type Services, servicesOf } from './starter-services.ts';

/** The host that a starter policy is written for. */
export interface StarterInput {
  readonly host: HostState;
  readonly sockets: readonly ListeningSocket[];
  /** Raw sockets; none by default. */
  readonly heard?: readonly HeardProtocol[];
  /** Where editors find the schema; by default beside the policy. */
  readonly schema?: string | undefined;
  /** The range of client ports; by default the kernel's. */
  readonly clientPorts?: ClientPorts | undefined;
  /** Where the user is logged in from by ssh, and the port on this host. */
  readonly session: { readonly address: Address; readonly port: number } | undefined;
}

const ADMINISTRATION: ReadonlySet<number> = new Set([22, 3389, 8848, 5900, 10_000]);
const DATABASES: ReadonlySet<number> = new Set([1433, 1521, 2379, 3306, 5432, 6379, 9200, 11_211, 27_017]);

/** Writes a policy under which every service that listens now stays reachable, and all other inbound traffic is denied. */
export function starterPolicy({ host, sockets, heard = [], clientPorts, session, schema }: StarterInput): string {
  const found = servicesOf(sockets, [...heard, ...tunnelProtocols(host.interfaces)], clientPorts);
  const { own, ports, others } = starterInterfaces(host.interfaces);
  return `# yaml-language-server: $schema=${schema ?? 'policy.schema.json'}
#
# Written by \`sgctl init\` from what this host had: under it, whatever listened is reached as before, on TCP and UDP ports
# and raw sockets, but for what is named below as left out; ping is answered, everything goes out, and all else that
# comes in is dropped. Narrow it: give each rule the sources that need it.
#
#   sgctl check      is it valid?
#   sgctl plan       what would it change?

version: 1
${management(session)}
securityGroups:
  host:
    inbound:
      - { protocol: icmp, icmp: echo-request, source: any, description: ping }
${found.services.map(serviceLines).join('')}${found.protocols.map(protocolLine).join('')}${solicitationLine(found)}${doubtfulLines(found)}    outbound:
      - { destination: any }

instances:
  ${quoted(instanceName(host.hostname))}:
    interfaces:
${own.length === 0 ? '      "*": { securityGroups: [host] }\n' : own.map(interfaceLine).join('')}${portsNotes(ports)}${othersNote(others)}`;
}

function serviceLines(service: Service): string {
  const { ports, isClientPort } = service;
  const note = ports.some((port) => DATABASES.has(port))
    ? '      # A database: name those who need it, such as { securityGroup: web } or 10.0.0.0/8.\n'
    : ports.some((port) => ADMINISTRATION.has(port))
      ? '      # Administration: safer from the addresses you administer from alone.\n'
      : isClientPort
        ? '      # Ports that clients get, too: remove what is no service.\n'
        : '';
  return `${note}      - ${serviceRule(service)}\n`;
}

function serviceRule({ protocol, ports, programs }: Service): string {
  const description = programs.length === 0 ? 'a program that could not be told' : programs.join(', ');
  const written = ports.length === 1 ? String(ports[0]) : quoted(ports.join(','));
  return `{ protocol: ${protocol}, ports: ${written}, source: any, description: ${quoted(description)} }`;
}

function protocolLine({ protocol, family, description }: OtherProtocol): string {
  const type = family === undefined ? '' : `type: ${family}, `;
  return `      - { ${type}protocol: ${protocol}, source: any, description: ${quoted(description)} }\n`;
}

function solicitationLine({ solicitations }: Services): string {
  return solicitations.length === 0
    ? ''
    : `      - { type: ipv6, protocol: icmp, icmp: router-solicitation, source: any, description: ${quoted(solicitations.join(', '))} }\n`;
}

function doubtfulLines({ doubtful }: Services): string {
  return leftOut(doubtful)
    .map(
      ({ what, why, rule }) =>
        `      # Left out: ${what}: ${why}${rule === undefined ? '' : `. To let it in:\n      # - ${rule}`}\n`,
    )
    .join('');
}

/** A listening socket that the policy does not allow. */
export interface LeftOut {
  readonly what: string;
  readonly why: string;
  /** The rule that would allow it; undefined if there is none. */
  readonly rule: string | undefined;
}

/** The listening sockets that the starter policy leaves out, and why. */
export function leftOutOf({ sockets, heard = [], clientPorts }: StarterInput): readonly LeftOut[] {
  return leftOut(servicesOf(sockets, heard, clientPorts).doubtful);
}

function leftOut({ clients, eavesdroppers }: Services['doubtful']): readonly LeftOut[] {
  return [
    ...clients.map((service) => ({
      what: `${service.protocol} ${service.ports.join(', ')} (${plain(service.programs.join(', '))})`,
      why: 'looks like the port of a client, whose answers pass anyway',
      rule: serviceRule(service),
    })),
    ...eavesdroppers.map(({ description }) => ({
      what: `raw socket for ${plain(description)}`,
      why: 'hears what the rules let in',
      rule: undefined,
    })),
  ];
}

function management(session: StarterInput['session']): string {
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

function interfaceLine({ name, addresses }: HostInterface): string {
  const listed = addresses.filter((address) => !isLinkLocal(address)).map(formatAddress);
  const note = listed.length === 0 ? '' : ` # ${listed.join(', ')}`;
  return `      ${quoted(name)}: { securityGroups: [host] }${note}\n`;
}

function portsNotes(ports: StarterInterfaces['ports']): string {
  return [...ports]
    .map(
      ([master, names]) =>
        `      # What comes by ${names.map(plain).join(', ')} is judged by the name ${plain(master)}.\n`,
    )
    .join('');
}

function othersNote(others: readonly string[]): string {
  return others.length === 0
    ? ''
    : `      # Left to those who made them, and unfiltered by this policy: ${others.map(plain).join(', ')}\n`;
}

/** The host's name if an instance may have it, else `*`. */
function instanceName(hostname: string): string {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(hostname) ? hostname : '*';
}

/** Text as a YAML string in double quotes. */
function quoted(text: string): string {
  return JSON.stringify(plain(text));
}

/** Replaces what a policy must not contain in a name that another program chose. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

const LINK_LOCAL = addressEntries([
  { family: 'ipv4', from: 0xa9fe_0000n, to: 0xa9fe_ffffn },
  { family: 'ipv6', from: 0xfe80n << 112n, to: (0xfec0n << 112n) - 1n },
]);

function isLinkLocal(address: Address): boolean {
  return entriesContain(LINK_LOCAL, address);
}
