import { platformTrafficOf } from '#core/meaning/evaluate/match-platform.ts';
import { deniedSources } from '#core/meaning/evaluate/own-address.ts';
import {
  type Addresses,
  type AddressSegment,
  partitionAddresses,
} from '#core/meaning/headerspace/address-partition.ts';
import type { Address, Family } from '#core/model/net/address.ts';
import { addressEntries, type EntriesByFamily, entriesContain } from '#core/model/net/address-entries.ts';
import {
  addressCharacters,
  addressNumber,
  type FlowKey,
  familyOfFlow,
  localEndOf,
  portNumber,
  protocolOfFlow,
  remoteEndOf,
} from '#core/model/packet/flow-key.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { type HostInterface, type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import { type FlowProtocol, UDP } from '#core/model/policy/protocols.ts';
import type { Action, Rule } from '#core/model/policy/rule.ts';

/** Evaluates a flow by the inbound rules, as for new packets from its remote end. */
export interface FlowEvaluator {
  (key: FlowKey): Action;
  /** As for packets that come in by the interface of this name. */
  by(key: FlowKey, name: string): Action;
}

/** A longer list is searched for each flow, instead of becoming part of the partition of addresses. */
const MAX_INLINE_ENTRIES = 64;

/**
 * An evaluator for many flows: it goes through the rules once for each port of the host, and then finds each remote
 * address by binary search. A flow is evaluated on the interface that has its local address; if none but loopback has it,
 * the flow is allowed if any interface would allow it, because conntrack does not say by which one its packets come.
 */
export function createFlowEvaluator(policy: HostPolicy, interfaces: readonly HostInterface[]): FlowEvaluator {
  const names = interfaces.map(({ name }) => name).filter((name) => name !== 'lo');
  const holders = holdersOf(interfaces);
  const judges = new Map<string, (remote: bigint) => Action>();
  const lines = new Map<string, (remote: bigint) => Action>();
  const judgeAt = (name: string, key: FlowKey, port: number): ((remote: bigint) => Action) => {
    const family = familyOfFlow(key);
    const id = `${name} ${family} ${protocolOfFlow(key)} ${port}`;
    const known = judges.get(id);
    if (known !== undefined) return known;
    const made = judgeOf(policy, name, { family, protocol: protocolOfFlow(key), port }, lines);
    judges.set(id, made);
    return made;
  };
  const onAny = (key: FlowKey, on: readonly string[]): Action => {
    const [port, value] = [portNumber(localEndOf(key).port), addressNumber(remoteEndOf(key).address)];
    if (on.some((name) => judgeAt(name, key, port)(value) === 'allow')) return 'allow';
    return isPlatform(policy, key) ? 'allow' : 'deny';
  };
  return Object.assign((key: FlowKey) => onAny(key, holders.get(localEndOf(key).address) ?? names), {
    by: (key: FlowKey, name: string) => onAny(key, [name]),
  });
}

/** Whether an address, as flows have it, is the host's own: packets between two such addresses never leave the host. */
export function ownAddresses(interfaces: readonly HostInterface[]): (address: string) => boolean {
  const ownTexts = new Set(interfaces.flatMap(({ addresses }) => addresses.map(charactersOf)));
  const loopback = String.fromCharCode(127);
  return (address) => ownTexts.has(address) || (address.length === 4 && address.startsWith(loopback));
}

function holdersOf(interfaces: readonly HostInterface[]): ReadonlyMap<string, readonly string[]> {
  const holders = new Map<string, string[]>();
  for (const { name, addresses } of interfaces) {
    if (name === 'lo') continue;
    for (const address of addresses.map(charactersOf)) {
      const known = holders.get(address);
      if (known === undefined) holders.set(address, [name]);
      else known.push(name);
    }
  }
  return holders;
}

function charactersOf({ family, value }: Address): string {
  return addressCharacters(family, value);
}

/** Whether a flow is built-in traffic, which passes whatever the rules say. */
function isPlatform({ platform }: HostPolicy, key: FlowKey): boolean {
  if (protocolOfFlow(key) !== UDP) return false;
  const family = familyOfFlow(key);
  const [local, remote] = [localEndOf(key), remoteEndOf(key)];
  const packet: Packet = {
    interface: '',
    direction: 'inbound',
    protocol: UDP,
    source: { family, value: addressNumber(remote.address) },
    destination: { family, value: addressNumber(local.address) },
    sourcePort: portNumber(remote.port),
    destinationPort: portNumber(local.port),
    icmpType: undefined,
    icmpCode: undefined,
    hopLimit: undefined,
    state: 'new',
  };
  return platformTrafficOf(platform, packet) !== undefined;
}

interface FlowService {
  readonly family: Family;
  readonly protocol: FlowProtocol;
  readonly port: number;
}

function judgeOf(
  policy: HostPolicy,
  name: string,
  called: FlowService,
  lines: Map<string, (remote: bigint) => Action>,
): (remote: bigint) => Action {
  const place = policy.bindings.findIndex(({ pattern }) => patternMatches(pattern, name));
  const binding = policy.bindings[place];
  if (binding === undefined && policy.unmanagedInterfaces === 'allow') return () => 'allow';
  const { family } = called;
  const forged = addressEntries(deniedSources(policy, name, family));
  const byRules = judgeByRulesOf(policy, place, called, lines);
  return (value) => (entriesContain(forged, { family, value }) ? 'deny' : byRules(value));
}

function judgeByRulesOf(
  policy: HostPolicy,
  place: number,
  called: FlowService,
  lines: Map<string, (remote: bigint) => Action>,
): (remote: bigint) => Action {
  const binding = policy.bindings[place];
  const all = [...policy.management.inbound, ...(binding?.inbound ?? [])];
  const own = all.flatMap((rule, index) => (isAbout(rule, called) ? [index] : []));
  // Most ports have the same rules as others.
  const id = `${place} ${called.family} ${own.join()}`;
  const known = lines.get(id);
  if (known !== undefined) return known;
  const rules = own.map((index) => all[index] as Rule);
  const made = judgeByRules(rules, policy, called.family);
  lines.set(id, made);
  return made;
}

function isAbout({ family, traffic }: Rule, called: FlowService): boolean {
  if (family !== called.family) return false;
  switch (traffic.kind) {
    case 'all':
      return true;
    case 'protocol':
      return traffic.protocol === called.protocol;
    case 'ports':
      return (
        traffic.protocol === called.protocol &&
        traffic.ports.some(({ from, to }) => from <= called.port && called.port <= to)
      );
    case 'icmp':
      return false;
  }
}

function judgeByRules(rules: readonly Rule[], policy: HostPolicy, family: Family): (remote: bigint) => Action {
  const lists: { readonly place: number; readonly entries: EntriesByFamily }[] = [];
  const about = rules.map((rule, place): Addresses => {
    const { remote } = rule;
    if (remote.kind === 'any') return 'any';
    if (remote.kind === 'interval') return [remote.interval];
    const entries =
      remote.kind === 'addressGroup' ? policy.addressGroups.get(remote.name) : policy.members.get(remote.name);
    if (entries === undefined) return [];
    const { hosts, ranges } = entries[family];
    if (hosts.length + ranges.length <= MAX_INLINE_ENTRIES) return [...hosts, ...ranges];
    lists.push({ place, entries });
    return [];
  });
  const line = partitionAddresses(about, family);
  return (value) => {
    const first = stretchAt(line, value).rule ?? rules.length;
    const list = lists.find(({ place, entries }) => place < first && entriesContain(entries, { family, value }));
    return rules[list?.place ?? first]?.action ?? 'deny';
  };
}

function stretchAt(line: readonly AddressSegment[], value: bigint): AddressSegment {
  let [begin, end] = [0, line.length - 1];
  while (begin < end) {
    const middle = (begin + end) >> 1;
    if ((line[middle] as AddressSegment).to < value) begin = middle + 1;
    else end = middle;
  }
  return line[begin] as AddressSegment;
}
