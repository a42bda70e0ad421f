import type { Family } from '#core/model/net/address.ts';
import type { AddressGroupName, GroupName, InstanceName, InterfacePattern } from '#core/model/policy/names.ts';
import type { AddressGroup, Instance, InterfaceBinding, Policy, SecurityGroup } from '#core/model/policy/policy.ts';
import type { Direction, Remote, Rule, RuleOrigin, Traffic } from '#core/model/policy/rule.ts';
import type { PlainIcmp, PlainInstance, PlainPolicy, PlainRule, PlainSecurityGroup } from './plain-policy.ts';
import { entriesOf, readAddress, readInterval, readPorts } from './read-literals.ts';

const NOWHERE = { file: 'plain', line: 1, column: 1, endLine: 1, endColumn: 1 };
const BOTH: readonly Family[] = ['ipv4', 'ipv6'];

/**
 * A second, naive reading of the policy format, for judging without the program's own. It expects a valid policy and
 * throws at the first mistake it stumbles over, unresolved names among them; it reads no list files.
 */
export function readPlainPolicy(plain: PlainPolicy): Policy {
  const { platform = {} } = plain;
  const policy: Policy = {
    unmanagedInterfaces: plain.unmanagedInterfaces ?? 'allow',
    platform: {
      neighborDiscovery: platform.neighborDiscovery ?? true,
      routerAdvertisement: platform.routerAdvertisement ?? true,
      dhcpClient: platform.dhcpClient ?? true,
      igmp: platform.igmp ?? true,
      ownAddress: platform.ownAddress ?? true,
      helpers: platform.helpers ?? false,
    },
    accounts: { counters: 'few', logDenied: true, logRate: 10 },
    assertions: [],
    acceptances: [],
    management: (platform.management ?? []).flatMap((rule, index) => {
      const direction = rule.source === undefined ? 'outbound' : 'inbound';
      return readRule(rule, { group: undefined, direction, index, template: undefined, span: NOWHERE });
    }),
    addressGroups: named(
      plain.addressGroups,
      (name: AddressGroupName, { addresses }): AddressGroup => ({
        name,
        entries: entriesOf(addresses.map(readInterval)),
        span: NOWHERE,
      }),
    ),
    securityGroups: named(plain.securityGroups, readSecurityGroup),
    instances: named(plain.instances, (name: InstanceName, instance) =>
      readInstance(name, instance, plain.evaluation ?? 'sequence'),
    ),
  };
  requireNames(policy);
  return policy;
}

function named<Name extends string, In, Out>(
  entries: Readonly<Record<string, In>> | undefined,
  read: (name: Name, entry: In) => Out,
): ReadonlyMap<Name, Out> {
  return new Map(
    Object.entries(entries ?? {}).map(([name, entry]) => {
      if (name !== '*' && !/^[A-Za-z0-9_.-]{1,64}$/.test(name)) throw new Error(`not a name: ${name}`);
      return [name as Name, read(name as Name, entry)];
    }),
  );
}

function readInstance(name: InstanceName, plain: PlainInstance, evaluation: Instance['evaluation']): Instance {
  const interfaces = Object.entries(plain.interfaces ?? {}).map(([pattern, entry]): InterfaceBinding => {
    const { addresses = 'dynamic', securityGroups, invalid = 'drop' } = entry;
    return {
      pattern: pattern as InterfacePattern,
      addresses: addresses === 'dynamic' ? 'dynamic' : addresses.map(readAddress),
      groups: securityGroups as readonly GroupName[],
      invalid,
      span: NOWHERE,
    };
  });
  const { hostname, machineId } = plain;
  return { name, hostname, machineId, evaluation: plain.evaluation ?? evaluation, interfaces, span: NOWHERE };
}

function readSecurityGroup(name: GroupName, plain: PlainSecurityGroup): SecurityGroup {
  const { template } = plain;
  const read = (direction: Direction): Rule[] => {
    const written = (rules: readonly PlainRule[], from: string | undefined): Rule[] =>
      rules.flatMap((rule, index) => readRule(rule, { group: name, direction, index, template: from, span: NOWHERE }));
    const brought = template === undefined ? [] : TEMPLATES[template][direction];
    return [...written(brought, template), ...written(plain[direction] ?? [], undefined)];
  };
  return { name, inbound: read('inbound'), outbound: read('outbound'), span: NOWHERE };
}

const FROM_SELF: readonly PlainRule[] = BOTH.map((type) => ({ type, source: 'self' }));
const FROM_ALL: readonly PlainRule[] = [{ source: '0.0.0.0/0' }, { source: '::/0' }];
const TO_ALL: readonly PlainRule[] = [{ destination: '0.0.0.0/0' }, { destination: '::/0' }];
const WEB: readonly PlainRule[] = [
  { protocol: 'icmp', source: '0.0.0.0/0' },
  ...[443, 80, 22, 3389].map((ports): PlainRule => ({ protocol: 'tcp', ports, source: '0.0.0.0/0' })),
];
const TEMPLATES: Record<NonNullable<PlainSecurityGroup['template']>, Record<Direction, readonly PlainRule[]>> = {
  default: { inbound: FROM_SELF, outbound: TO_ALL },
  'Sys-WebServer': { inbound: [...WEB, ...FROM_SELF], outbound: TO_ALL },
  'Sys-FullAccess': { inbound: [...FROM_SELF, ...FROM_ALL], outbound: TO_ALL },
};

/** The rule once per family; none if it is disabled. */
function readRule(plain: PlainRule, origin: RuleOrigin): Rule[] {
  if (plain.enabled === false) return [];
  const { priority = 1 } = plain;
  if (!Number.isInteger(priority) || priority < 1 || priority > 100) throw new Error(`not a priority: ${priority}`);
  const remote = readRemote(plain, origin);
  const told = remote.kind === 'interval' ? remote.interval.family : plain.type;
  if (plain.type !== undefined && plain.type !== told) throw new Error(`a ${plain.type} rule for ${told} addresses`);
  return (told === undefined ? BOTH : [told]).map((family) => ({
    origin,
    action: plain.action ?? 'allow',
    priority,
    priorityWritten: plain.priority !== undefined,
    family,
    traffic: readTraffic(plain, family),
    remote,
    log: undefined,
    description: plain.description,
  }));
}

function readRemote(plain: PlainRule, { direction, group }: RuleOrigin): Remote {
  const remote = direction === 'inbound' ? plain.source : plain.destination;
  if (remote === undefined) throw new Error('a rule without a remote');
  if (typeof remote === 'object') {
    return 'securityGroup' in remote
      ? { kind: 'securityGroup', name: remote.securityGroup as GroupName }
      : { kind: 'addressGroup', name: remote.addressGroup as AddressGroupName };
  }
  if (remote === 'any') return { kind: 'any' };
  if (remote !== 'self') return { kind: 'interval', interval: readInterval(remote) };
  if (group === undefined) throw new Error('self outside a group');
  return { kind: 'securityGroup', name: group };
}

function readTraffic({ protocol = 'all', ports, icmp }: PlainRule, family: Family): Traffic {
  const icmpProtocol = family === 'ipv4' ? 1 : 58;
  const numbers: Readonly<Record<string, number>> = { tcp: 6, udp: 17, gre: 47, icmp: icmpProtocol };
  if (protocol === 'all') {
    if (ports !== undefined || icmp !== undefined) throw new Error('ports or ICMP types of all protocols');
    return { kind: 'all' };
  }
  const number = typeof protocol === 'number' ? protocol : numbers[protocol];
  if (number === undefined || number > 255) throw new Error(`not a protocol: ${protocol}`);
  if (ports !== undefined) {
    if (number !== 6 && number !== 17) throw new Error(`ports of protocol ${protocol}`);
    return { kind: 'ports', protocol: number, ports: readPorts(ports) };
  }
  if (icmp === undefined) return { kind: 'protocol', protocol: number };
  if (number !== icmpProtocol) throw new Error(`ICMP types of protocol ${protocol} in ${family}`);
  return { kind: 'icmp', protocol: icmpProtocol, ...readIcmp(icmp, family) };
}

/** Knows the commonest names only. */
function readIcmp(icmp: PlainIcmp, family: Family): { readonly type: number; readonly code: number | 'any' } {
  const { type, code } = typeof icmp === 'object' ? { code: undefined, ...icmp } : { type: icmp, code: undefined };
  return { type: icmpNumber(type, TYPES[family]), code: code === undefined ? 'any' : icmpNumber(code, CODES[family]) };
}

function icmpNumber(word: string | number, names: Readonly<Record<string, number>>): number {
  const number = typeof word === 'number' ? word : names[word];
  if (number === undefined || number < 0 || number > 255) throw new Error(`not an ICMP type or code: ${word}`);
  return number;
}

const TYPES: Record<Family, Readonly<Record<string, number>>> = {
  ipv4: {
    'echo-reply': 0,
    'destination-unreachable': 3,
    redirect: 5,
    'echo-request': 8,
    'time-exceeded': 11,
    'parameter-problem': 12,
    'timestamp-request': 13,
    'timestamp-reply': 14,
  },
  ipv6: {
    'destination-unreachable': 1,
    'packet-too-big': 2,
    'time-exceeded': 3,
    'parameter-problem': 4,
    'echo-request': 128,
    'echo-reply': 129,
  },
};
const CODES: Record<Family, Readonly<Record<string, number>>> = {
  ipv4: { 'port-unreachable': 3 },
  ipv6: { 'port-unreachable': 4 },
};

function requireNames({ securityGroups, addressGroups, instances, management }: Policy): void {
  const attached = [...instances.values()].flatMap(({ interfaces }) => interfaces.flatMap(({ groups }) => groups));
  const rules = [
    ...management,
    ...[...securityGroups.values()].flatMap(({ inbound, outbound }) => [...inbound, ...outbound]),
  ];
  for (const name of attached) {
    if (!securityGroups.has(name)) throw new Error(`no security group ${name}`);
  }
  for (const { remote } of rules) {
    if (remote.kind === 'securityGroup' && !securityGroups.has(remote.name)) {
      throw new Error(`no security group ${remote.name}`);
    }
    if (remote.kind === 'addressGroup' && !addressGroups.has(remote.name)) {
      throw new Error(`no address group ${remote.name}`);
    }
  }
}
