import type { Family } from '#core/model/net/address.ts';

/** The ends of every measured packet. The client lives; `unknown` is where no rule's source lies. */
export const ADDRESSES = {
  ipv4: { host: '192.0.2.1', client: '172.31.255.254', known: '172.31.0.1', unknown: '198.18.0.1' },
  ipv6: {
    host: '2001:db8:ffff::1',
    client: '2001:db8:1f:ffff::fe',
    known: '2001:db8:1f::1',
    unknown: '2001:db8:eeee::1',
  },
} as const satisfies Record<Family, Readonly<Record<string, string>>>;

/** The port of the rules that come last. */
export const LAST_PORT = 40_000;

/** The text of a policy file, and of the list file beside it. */
export interface PolicyTexts {
  readonly text: string;
  readonly list?: string;
}

/** How many rules, of which family, and whether a third of them name groups. */
export interface RulesSpec {
  readonly rules: number;
  readonly family: Family;
  readonly groups: boolean;
  /** How many groups of the host's interface the rules are in, in order; all in one unless told. */
  readonly parts?: number;
  /** Neither counts nor logs. */
  readonly uncounted?: boolean;
  /** One rule in the middle has another port. */
  readonly edited?: boolean;
}

/** A rule before it is written down for one firewall or another. */
export interface GeneratedRule {
  readonly action: 'allow' | 'deny';
  readonly priority: number;
  readonly protocol: 'tcp' | 'udp';
  /** `from-to`, or one port. */
  readonly ports: string;
  readonly remote: { readonly kind: 'cidr' | 'securityGroup' | 'addressGroup'; readonly text: string };
}

const GROUPS = 10;

/** How many hosts, or entries, each group has; so many addresses from that of a probe on belong to it. */
export const MEMBERS = 50;

/** The groups that rules near the end name, for probes that come from a group. */
const PROBED = { securityGroup: `sg${GROUPS - 1}`, addressGroup: `ag${GROUPS - 1}` } as const;

/** The first of the addresses that belong to the groups for probes. */
export const PROBED_ADDRESSES = {
  ipv4: { securityGroup: `100.64.${GROUPS - 1}.1`, addressGroup: `100.${70 + GROUPS - 1}.0.1` },
  ipv6: { securityGroup: `2001:db8:64:${GROUPS - 1}::1`, addressGroup: `2001:db8:${hex(0x70 + GROUPS - 1)}::1` },
} as const satisfies Record<Family, Readonly<Record<string, string>>>;

/** Groups that rules name: half have hosts as members, half are lists of networks. */
export function generatedGroups({ family }: Pick<RulesSpec, 'family'>): {
  readonly security: ReadonlyMap<string, readonly string[]>;
  readonly address: ReadonlyMap<string, readonly string[]>;
} {
  const lists = (of: (group: number, entry: number) => string): readonly (readonly string[])[] =>
    Array.from({ length: GROUPS }, (_, group) => Array.from({ length: MEMBERS }, (_unused, i) => of(group, i)));
  const named = (prefix: string, entries: readonly (readonly string[])[]): ReadonlyMap<string, readonly string[]> =>
    new Map(entries.map((list, i) => [`${prefix}${i}`, list]));
  return family === 'ipv4'
    ? {
        security: named(
          'sg',
          lists((group, i) => `100.64.${group}.${i + 1}`),
        ),
        address: named(
          'ag',
          lists((group, i) => `100.${70 + group}.${i}.0/24`),
        ),
      }
    : {
        security: named(
          'sg',
          lists((group, i) => `2001:db8:64:${group}::${hex(i + 1)}`),
        ),
        address: named(
          'ag',
          lists((group, i) => `2001:db8:${hex(0x70 + group)}:${hex(i)}::/64`),
        ),
      };
}

/**
 * Rules as hosts have them, in deciding order: fifty kinds of traffic, ranges among them, networks of many sizes, a
 * seventh of them denying wider networks that hold others' allowed ones. The last two let the living client in over TCP and UDP, and decide nothing else; before them, where
 * rules name groups, those of the probes that come from a group.
 */
export function generatedRules(spec: RulesSpec): readonly GeneratedRule[] {
  const { rules, family, groups } = spec;
  const remotes: readonly GeneratedRule['remote'][] = [
    ...(groups ? (['securityGroup', 'addressGroup'] as const).map((kind) => ({ kind, text: PROBED[kind] })) : []),
    { kind: 'cidr', text: family === 'ipv4' ? '172.31.0.0/16' : '2001:db8:1f::/48' },
  ];
  const most = rules - 2 * remotes.length;
  const list = Array.from({ length: most }, (_, i) => generatedRule(i, most, spec));
  const inDecidingOrder = list.toSorted(
    (a, b) => a.priority - b.priority || Number(a.action === 'allow') - Number(b.action === 'allow'),
  );
  return [
    ...inDecidingOrder,
    ...remotes.flatMap((remote) =>
      (['tcp', 'udp'] as const).map(
        (protocol): GeneratedRule => ({ action: 'allow', priority: 100, protocol, ports: String(LAST_PORT), remote }),
      ),
    ),
  ];
}

function generatedRule(i: number, most: number, { family, groups, edited = false }: RulesSpec): GeneratedRule {
  const kind = i % 50;
  const denies = i % 7 === 6;
  return {
    action: denies ? 'deny' : 'allow',
    priority: 1 + Math.floor((i * 99) / most),
    protocol: kind % 2 === 0 ? 'udp' : 'tcp',
    ports: edited && i === most >> 1 ? '9' : portsOf(kind),
    remote:
      groups && i % 3 === 2
        ? groupOf(i)
        : { kind: 'cidr', text: denies ? wideNetworkOf(i, family) : networkOf(i, family) },
  };
}

function portsOf(kind: number): string {
  // The port of the probes is one like the others, and not one that only the last rules name.
  if (kind === 7 || kind === 8) return String(LAST_PORT);
  if (kind % 5 !== 0) return String(100 + kind * 37);
  const first = 8_000 + kind * 20;
  return `${first}-${first + 15}`;
}

function groupOf(i: number): GeneratedRule['remote'] {
  // The last group of each kind is that of the probes.
  const group = Math.floor(i / 6) % (GROUPS - 1);
  return i % 6 === 2 ? { kind: 'securityGroup', text: `sg${group}` } : { kind: 'addressGroup', text: `ag${group}` };
}

function networkOf(i: number, family: Family): string {
  return family === 'ipv4'
    ? `10.${i >> 8}.${i & 255}.0/${24 + (i % 5)}`
    : `2001:db8:${hex(0x1000 + i)}::/${48 + 4 * (i % 5)}`;
}

/** Holds the networks of rules that come before and after. */
function wideNetworkOf(i: number, family: Family): string {
  return family === 'ipv4' ? `10.${i >> 8}.${i & 240}.0/20` : `2001:db8:${hex((0x1000 + i) & 0xfff0)}::/44`;
}

/** What a policy has besides these rules. */
export interface PolicyExtras {
  /** Lines of further address groups. */
  readonly addressGroups?: string;
  /** Lines of inbound rules that come first. */
  readonly inbound?: string;
}

/** The policy file that says these rules, for the instance `host`. */
export function policyText(spec: RulesSpec, { addressGroups = '', inbound = '' }: PolicyExtras = {}): string {
  const { family, parts = 1 } = spec;
  const rules = generatedRules(spec);
  const groups = generatedGroups(spec);
  const measured = Array.from({ length: parts }, (_, part) => {
    const own = rules.slice(Math.ceil((part * rules.length) / parts), Math.ceil(((part + 1) * rules.length) / parts));
    const lines = (end: string): string => own.map((rule) => `      - ${policyRule(rule, end, family)}\n`).join('');
    const first = part === 0 ? inbound : '';
    return {
      name: `measured${part}`,
      text: `  measured${part}:\n    inbound:\n${first}${lines('source')}    outbound:\n${lines('destination')}`,
    };
  });
  const instances = [...groups.security].map(
    ([name, members]) =>
      `  member-${name}: { interfaces: { eth0: { addresses: [${quoted(members)}], securityGroups: [${name}] } } }\n`,
  );
  const accounts = spec.uncounted === true ? 'counters: false\nlogging: { denied: false }\n' : '';
  return `version: 1
${accounts}addressGroups:
${addressGroups}${[...groups.address].map(([name, entries]) => `  ${name}: { addresses: [${quoted(entries)}] }\n`).join('')}securityGroups:
${[...groups.security.keys()].map((name) => `  ${name}: {}\n`).join('')}${measured.map(({ text }) => text).join('')}instances:
  host: { interfaces: { eth0: { securityGroups: [${measured.map(({ name }) => name).join(', ')}] } } }
${instances.join('')}`;
}

function policyRule({ action, priority, protocol, ports, remote }: GeneratedRule, end: string, type: Family): string {
  const text = remote.kind === 'cidr' ? `"${remote.text}"` : `{ ${remote.kind}: ${remote.text} }`;
  return `{ action: ${action}, priority: ${priority}, type: ${type}, protocol: ${protocol}, ports: "${ports}", ${end}: ${text} }`;
}

function quoted(texts: readonly string[]): string {
  return texts.map((text) => `"${text}"`).join(', ');
}

function hex(value: number): string {
  return value.toString(16);
}
