import { stringify } from 'yaml';
import type { PacketState } from '#core/model/packet/packet.ts';
import type { PlainIcmp, PlainPolicy, PlainRemote, PlainRule } from '../oracle/plain-policy.ts';

/** A rule of the neutral form. */
export interface NeutralRule {
  readonly direction: 'inbound' | 'outbound';
  readonly family: 'ipv4' | 'ipv6';
  readonly action?: 'allow' | 'deny';
  readonly priority?: number;
  readonly protocol?: string | number;
  readonly ports?: string;
  readonly icmp_type?: number;
  readonly icmp_code?: number;
  readonly remote?: { readonly cidr?: string; readonly security_group?: string; readonly address_group?: string };
}

/** A policy of the neutral form. */
export interface NeutralPolicy {
  readonly groups: Readonly<Record<string, readonly NeutralRule[]>>;
  readonly address_groups?: Readonly<Record<string, readonly string[]>>;
  readonly instances: Readonly<
    Record<string, { readonly addresses: readonly string[]; readonly groups: readonly string[] }>
  >;
}

/** A packet of the neutral form. */
export interface NeutralPacket {
  readonly direction: 'inbound' | 'outbound';
  readonly family: 'ipv4' | 'ipv6';
  readonly proto: string | number;
  readonly src: string;
  readonly dst: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly icmp_type?: number;
  readonly icmp_code?: number;
  readonly ct_state: 'new' | 'established' | 'related' | 'invalid';
  readonly initial?: NeutralPacket;
}

/** One of the `cases`: the verdict on a packet. */
export interface ConformanceCase {
  readonly id: string;
  readonly policy: NeutralPolicy;
  readonly policy_before?: NeutralPolicy;
  readonly at: string;
  readonly packet: NeutralPacket;
  readonly expected: 'allow' | 'deny';
  readonly note?: string;
  readonly tags: readonly string[];
}

/** One of the `validation_cases`: a rule, rules, or an interface's groups that a peer refuses. */
export interface ValidationCase {
  readonly id: string;
  readonly rule: NeutralRule | readonly NeutralRule[] | { readonly instance_groups: readonly string[] };
  readonly expected: 'reject';
  readonly note?: string;
}

/** The whole of cases.yaml. */
export interface ConformanceFile {
  readonly cases: readonly ConformanceCase[];
  readonly validation_cases: readonly ValidationCase[];
}

/** A query as `sgctl explain --batch` reads them. */
export interface ExplainQuery {
  readonly instance: string;
  readonly interface: string;
  readonly direction: 'inbound' | 'outbound';
  readonly protocol: string | number;
  readonly src: string;
  readonly dst: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly state: PacketState;
}

/** A case in our own terms. */
export interface ConvertedCase {
  readonly policyText: string;
  /** What was in force when the packet's flow began, where that differs. */
  readonly before: string | undefined;
  readonly instance: string;
  readonly interface: string;
  readonly query: ExplainQuery;
}

/** The one interface of every converted instance. */
export const INTERFACE = 'eth0';

/** The case as policy files and a query. Throws if two of its names would become one. */
export function caseToPolicy(source: ConformanceCase): ConvertedCase {
  const instance = validName(source.at);
  return {
    policyText: stringify(policyOf(source.policy)),
    before: source.policy_before === undefined ? undefined : stringify(policyOf(source.policy_before)),
    instance,
    interface: INTERFACE,
    query: queryOf(instance, source.packet),
  };
}

/** The policy file, around what the case is about, that a peer refuses; SEMANTICS.md section 7 says whether we do. */
export function validationCaseToPolicy({ rule }: ValidationCase): string {
  const rules = 'instance_groups' in rule ? [] : [rule].flat();
  const attached = 'instance_groups' in rule ? rule.instance_groups : ['g'];
  return stringify(
    policyOf({ groups: { g: rules, g2: [] }, instances: { host: { addresses: ['192.0.2.1'], groups: attached } } }),
  );
}

function policyOf({ groups, address_groups: addressGroups = {}, instances }: NeutralPolicy): PlainPolicy {
  return {
    version: 1,
    addressGroups: renamed(addressGroups, (addresses) => ({ addresses })),
    securityGroups: renamed(groups, (rules) => ({
      inbound: rules.filter(({ direction }) => direction === 'inbound').map(ruleOf),
      outbound: rules.filter(({ direction }) => direction === 'outbound').map(ruleOf),
    })),
    instances: renamed(instances, ({ addresses, groups: attached }) => ({
      interfaces: { [INTERFACE]: { addresses, securityGroups: attached.map(validName) } },
    })),
  };
}

function renamed<In, Out>(entries: Readonly<Record<string, In>>, convert: (entry: In) => Out): Record<string, Out> {
  const converted = new Map<string, Out>();
  for (const [name, entry] of Object.entries(entries)) {
    if (converted.has(validName(name))) throw new Error(`two names become ${validName(name)}`);
    converted.set(validName(name), convert(entry));
  }
  return Object.fromEntries(converted);
}

/** Peers' names hold characters that ours may not: `x/a` becomes `x.a`. */
function validName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_.-]/g, '.');
}

function ruleOf(rule: NeutralRule): PlainRule {
  const { direction, family, action, priority, protocol, ports } = rule;
  const remote = remoteOf(rule.remote);
  return {
    ...(action !== undefined && { action }),
    ...(priority !== undefined && { priority }),
    type: family,
    ...(protocol !== undefined && { protocol }),
    ...(ports !== undefined && { ports }),
    ...(rule.icmp_type !== undefined && { icmp: icmpOf(rule.icmp_type, rule.icmp_code) }),
    ...(direction === 'inbound' ? { source: remote } : { destination: remote }),
  };
}

// Type 0 and code 0 are an echo reply and a code; only what is not there is any.
function icmpOf(type: number, code: number | undefined): PlainIcmp {
  return code === undefined ? type : { type, code };
}

function remoteOf(remote: NeutralRule['remote'] = {}): PlainRemote {
  const { cidr, security_group: securityGroup, address_group: addressGroup } = remote;
  const groups = {
    ...(securityGroup !== undefined && { securityGroup: validName(securityGroup) }),
    ...(addressGroup !== undefined && { addressGroup: validName(addressGroup) }),
  };
  if (Object.keys(groups).length === 0) return cidr ?? 'any';
  // A remote of two kinds stays one, so that refusing it can be tested.
  return { ...groups, ...(cidr !== undefined && { cidr }) } as PlainRemote;
}

function queryOf(instance: string, packet: NeutralPacket): ExplainQuery {
  const { direction, proto: protocol, src, dst, sport, dport, icmp_type: icmpType, icmp_code: icmpCode } = packet;
  return {
    instance,
    interface: INTERFACE,
    direction,
    protocol,
    src,
    dst,
    ...(sport !== undefined && { sport }),
    ...(dport !== undefined && { dport }),
    ...(icmpType !== undefined && { icmpType }),
    ...(icmpCode !== undefined && { icmpCode }),
    state: stateOf(packet),
  };
}

/** Peers call both directions of a flow established; ours tells the opener's packets from the answers. */
function stateOf({ ct_state: state, direction, initial }: NeutralPacket): PacketState {
  return state === 'established' && initial !== undefined && initial.direction !== direction ? 'reply' : state;
}
