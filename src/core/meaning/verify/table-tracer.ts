import { FAMILIES, type Family, highestAddress } from '#core/model/net/address.ts';
import type {
  ListedChain,
  ListedMapElement,
  ListedRange,
  ListedRule,
  ListedExpression,
  ListedTable,
  ListedValues,
} from '#core/model/nft/listed-table.ts';
import { revokedFields, revokedSet } from '#core/model/nft/revoked-flows.ts';
import type { Action, Direction } from '#core/model/policy/rule.ts';
import type { LocalAddresses } from '#core/meaning/evaluate/own-address.ts';
import { type Region, union, within, without } from '#core/meaning/headerspace/region.ts';
import { REGISTERED_NUMBERS } from '#core/model/policy/protocol-lookup.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import { transportField } from './transport-field.ts';

/** Packets that differ in the address at their other end alone. */
export interface PacketTemplate {
  readonly direction: Direction;
  readonly interface: string;
  /** The member of a VRF that they came in by, where `interface` is that VRF. */
  readonly member?: string;
  readonly family: Family;
  /** The host's end. */
  readonly local: bigint;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly state: 'new' | 'established' | 'related' | 'invalid';
  readonly flowDirection: 'original' | 'reply';
  readonly hopLimit: number;
  /** Addresses of the host. */
  readonly own: LocalAddresses;
}

/** Neighbouring addresses to whose packets the same is done. */
export interface TracedRange {
  readonly from: bigint;
  readonly to: bigint;
  readonly action: Action;
}

/** What a table does to packets of one shape, for all addresses, ascending; and rules in their way that it cannot tell what they do. */
export interface TableTrace {
  readonly ranges: readonly TracedRange[];
  readonly unknown: readonly ListedRule[];
}

/** nf_tables allows jumps so deep: Linux NFT_JUMP_STACK_SIZE. */
const MAX_JUMPS = 16;

const HOOKS: Readonly<Record<Direction, string>> = { inbound: 'input', outbound: 'output' };

/** Follows packets of one shape through a table, as the kernel does. */
export function traceTable(table: ListedTable, shape: PacketTemplate): TableTrace {
  const walk = new TableTracer(table, shape);
  const everywhere: Region = [{ from: 0n, to: highestAddress(shape.family) }];
  let region = everywhere;
  let denied: Region = [];
  // A packet has to pass every base chain.
  for (const [name, { policy }] of baseChains(table, shape.direction)) {
    const { accepted, dropped, rest } = walk.chain(name, region, 0);
    denied = union([...denied, ...dropped, ...(policy === 'drop' ? rest : [])]);
    region = union([...accepted, ...(policy === 'drop' ? [] : rest)]);
  }
  const ranges = [
    ...region.map(({ from, to }): TracedRange => ({ from, to, action: 'allow' })),
    ...denied.map(({ from, to }): TracedRange => ({ from, to, action: 'deny' })),
  ].toSorted((a, b) => (a.from < b.from ? -1 : 1));
  return { ranges, unknown: [...walk.unknown] };
}

type NamedChain = readonly [name: string, chain: ListedChain];

const bases = new WeakMap<ListedTable, Readonly<Record<Direction, readonly NamedChain[]>>>();

function baseChains(table: ListedTable, direction: Direction): readonly NamedChain[] {
  const of = (hooked: Direction): readonly NamedChain[] =>
    [...table.chains].filter(([, { hook }]) => hook === HOOKS[hooked]);
  const known = bases.get(table) ?? { inbound: of('inbound'), outbound: of('outbound') };
  bases.set(table, known);
  return known[direction];
}

interface Outcome {
  readonly accepted: Region;
  readonly dropped: Region;
  /** Nobody has decided on them. */
  readonly rest: Region;
}

class TableTracer {
  readonly unknown = new Set<ListedRule>();
  readonly #table: ListedTable;
  readonly #shape: PacketTemplate;

  constructor(table: ListedTable, shape: PacketTemplate) {
    this.#table = table;
    this.#shape = shape;
  }

  chain(name: string, region: Region, depth: number): Outcome {
    const accepted: Region[] = [];
    const dropped: Region[] = [];
    const returned: Region[] = [];
    let rest = region;
    const chain = this.#table.chains.get(name);
    if (chain === undefined || depth > MAX_JUMPS) throw new Error(`a jump to \`${name}\` leads nowhere`);
    for (const rule of chain.rules) {
      if (rest.length === 0) break;
      for (const { verdict, region: matched } of this.#verdicts(rule, rest)) {
        rest = without(rest, matched);
        if (verdict.kind === 'accept') accepted.push(matched);
        else if (verdict.kind === 'drop') dropped.push(matched);
        else if (verdict.kind === 'return') returned.push(matched);
        else {
          const inner = this.chain(verdict.chain, matched, depth + 1);
          accepted.push(inner.accepted);
          dropped.push(inner.dropped);
          // What comes back from a jump goes on behind it; from a goto, where this chain was come from.
          if (verdict.kind === 'jump') rest = union([...rest, ...inner.rest]);
          else returned.push(inner.rest);
        }
      }
    }
    return {
      accepted: union(accepted.flat()),
      dropped: union(dropped.flat()),
      rest: union([rest, ...returned].flat()),
    };
  }

  /** The verdicts that a rule gives, each to packets of some addresses. */
  #verdicts(rule: ListedRule, region: Region): readonly VerdictRegion[] {
    const decides = rule.steps.some(({ kind }) => kind === 'verdict' || kind === 'map');
    if (!decides) {
      // Without a verdict it decides on nothing, be it on few packets.
      if (rule.steps.some(({ kind }) => kind === 'unknown')) this.unknown.add(rule);
      return [];
    }
    let matched = region;
    // Packets of flows that were revoked are none of those that are followed.
    if (dropsRevoked(rule)) return [];
    for (const step of rule.steps) {
      if (matched.length === 0) return [];
      switch (step.kind) {
        case 'test':
          matched = this.#test(step, matched, rule);
          break;
        case 'map':
          return this.#lookUp(step, matched, rule);
        case 'verdict':
          return [{ verdict: step.verdict, region: matched }];
        case 'aside':
          break;
        case 'limit':
        case 'unknown':
          this.unknown.add(rule);
          return [];
      }
    }
    return [];
  }

  #test(
    { field, operator, values }: Extract<ListedExpression, { readonly kind: 'test' }>,
    region: Region,
    rule: ListedRule,
  ): Region {
    const known = 'set' in values ? this.#table.sets.get(values.set) : values;
    if (known === undefined) {
      this.unknown.add(rule);
      return [];
    }
    const own = this.#ownAmong(field);
    if (own !== undefined) {
      const isOwn = numbersOf(field, known)?.some(({ from, to }) => from <= LOCAL && LOCAL <= to);
      if (isOwn !== undefined) return (operator === 'notAmong') === isOwn ? without(region, own) : within(region, own);
    }
    const end = this.#addressOf(field);
    if (end === 'other family') return [];
    if (end === 'remote' && known.kind === 'numbers')
      return operator === 'notAmong' ? without(region, known.ranges) : within(region, known.ranges);
    const holds = this.#holds(field, operator, known);
    if (holds === undefined) {
      this.unknown.add(rule);
      return [];
    }
    return holds ? region : [];
  }

  #lookUp(
    { field, map, elements }: Extract<ListedExpression, { readonly kind: 'map' }>,
    region: Region,
    rule: ListedRule,
  ): readonly VerdictRegion[] {
    const known = map === undefined ? elements : this.#table.maps.get(map);
    const end = this.#addressOf(field);
    if (end === 'other family') return [];
    if (known === undefined) {
      this.unknown.add(rule);
      return [];
    }
    if (end === 'remote') return regionsOf(known, region);
    const value = this.#value(field);
    const found =
      typeof value === 'bigint'
        ? elementAt(known, value)
        : known.find(
            ({ key }) =>
              typeof key === 'string' && this.#holds(field, 'among', { kind: 'names', names: [key] }) === true,
          );
    return found === undefined ? [] : [{ verdict: found.verdict, region }];
  }

  /** The remote addresses of which a question for their type is answered `local`; undefined where that is not asked. */
  #ownAmong(field: string): Region | undefined {
    const { direction, own } = this.#shape;
    if (direction === 'outbound') return undefined;
    if (field === 'fib.saddr.type') return own.host;
    return field === 'fib.saddr.iif.type' ? own.interface : undefined;
  }

  /** Which end of the packet a field is. */
  #addressOf(field: string): 'remote' | 'local' | 'other family' | undefined {
    const match = /^(ip6?)\.(saddr|daddr)$/.exec(field);
    if (match === null) return undefined;
    const { family, direction } = this.#shape;
    if ((match[1] === 'ip') !== (family === 'ipv4')) return 'other family';
    return (match[2] === 'saddr') === (direction === 'inbound') ? 'remote' : 'local';
  }

  /** Whether a test holds that does not look at the other end; undefined where that cannot be told. */
  #holds(field: string, operator: 'among' | 'notAmong' | 'common', values: ListedValues): boolean | undefined {
    const { direction } = this.#shape;
    const name = this.#name(field);
    if (name !== undefined) {
      const isOutbound = field.startsWith('o');
      if (isOutbound !== (direction === 'outbound') || values.kind !== 'names') return undefined;
      const isAmong = values.names.some((one) =>
        one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : one === name,
      );
      return (operator === 'notAmong') !== isAmong;
    }
    const value = this.#value(field);
    if (value === 'none') return false;
    const numbers = numbersOf(field, values);
    if (value === undefined || numbers === undefined) return undefined;
    // Of labels each number is one bit; our packets have none of them.
    if (field === 'ct.label') return operator === 'notAmong';
    if (operator === 'common') return numbers.some(({ from }) => (from & value) !== 0n);
    return (operator === 'notAmong') !== numbers.some(({ from, to }) => from <= value && value <= to);
  }

  /** What a field that holds a name holds; undefined for other fields. */
  #name(field: string): string | undefined {
    const { interface: name, member } = this.#shape;
    switch (field) {
      case 'iifname':
      case 'oifname':
        return name;
      case 'sdifname':
        return member ?? '';
      // Packets that go out are followed as those of no VRF: they come by again, as those of a member.
      case 'oifkind':
        return '';
      default:
        return undefined;
    }
  }

  /** What the packets have there; `none` where they have no such field. */
  #value(field: string): bigint | 'none' | undefined {
    const shape = this.#shape;
    switch (field) {
      case 'nfproto':
        return shape.family === 'ipv4' ? 2n : 10n;
      case 'l4proto':
        return BigInt(shape.protocol);
      case 'ip6.hoplimit':
        return shape.family === 'ipv6' ? BigInt(shape.hopLimit) : 'none';
      case 'ip.ttl':
        return shape.family === 'ipv4' ? BigInt(shape.hopLimit) : 'none';
      case 'ct.state':
        return BigInt({ invalid: 1, established: 2, related: 4, new: 8 }[shape.state]);
      case 'ct.direction':
        // A packet that fits no flow has none.
        return shape.state === 'invalid' ? 'none' : shape.flowDirection === 'original' ? 0n : 1n;
      case 'ct.status':
        // An ICMP message about a flow that a helper has announced has the status of that flow.
        return shape.state === 'related' ? 1n : 0n;
      case 'ct.label':
        return 0n;
      // They are to one address of the host's end.
      case 'fib.daddr.type':
        return LOCAL;
      case 'pkttype':
        return 0n;
      case 'sdif':
        return shape.member === undefined ? 0n : SOME_INDEX;
      case 'ip.saddr':
      case 'ip.daddr':
      case 'ip6.saddr':
      case 'ip6.daddr':
        return shape.local;
      default:
        return this.#transport(field);
    }
  }

  /** What the packets have in the header behind the addresses. */
  #transport(field: string): bigint | 'none' | undefined {
    const shape = this.#shape;
    const about = transportField(field);
    // Of other fields, TCP's flags are those of the first segment of a connection: SYN alone.
    if (about === undefined) return field.startsWith('tcp.') ? (isSynFlags(field, shape) ? SYN : 'none') : undefined;
    if (about.protocol !== shape.protocol) return 'none';
    switch (about.kind) {
      case 'port':
        return BigInt(about.end === 'source' ? shape.sourcePort : shape.destinationPort);
      case 'icmp':
        if (about.family !== shape.family) return 'none';
        return BigInt(about.part === 'type' ? shape.icmpType : shape.icmpCode);
    }
  }
}

const SYN = 2n;

function isSynFlags(field: string, { protocol }: PacketTemplate): boolean {
  return field.startsWith('tcp.flags & ') && protocol === TCP;
}

/** Whether a rule does nothing but drop packets of revoked flows. */
function dropsRevoked({ steps }: ListedRule): boolean {
  const [first, ...rest] = steps.filter(({ kind }) => kind !== 'aside');
  const [only, more] = rest;
  return (
    first?.kind === 'test' &&
    first.operator === 'among' &&
    'set' in first.values &&
    REVOKED_LOOKUPS.get(first.values.set) === first.field &&
    only?.kind === 'verdict' &&
    only.verdict.kind === 'drop' &&
    more === undefined
  );
}

const REVOKED_LOOKUPS = new Map(FAMILIES.map((family) => [revokedSet(family), revokedFields(family)]));

/** Rules ask whether there is one. */
const SOME_INDEX = 1n;

/** Types of addresses, as routes have them: include/uapi/linux/rtnetlink.h. */
const ADDRESS_TYPES = { unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5 };
const LOCAL = BigInt(ADDRESS_TYPES.local);

const NAMED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  nfproto: { ipv4: 2, ipv6: 10 },
  l4proto: REGISTERED_NUMBERS,
  'ct.state': { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 },
  'ct.direction': { original: 0, reply: 1 },
  'ct.status': { expected: 1, dnat: 32 },
  'fib.saddr.type': ADDRESS_TYPES,
  'fib.saddr.iif.type': ADDRESS_TYPES,
  'fib.daddr.type': ADDRESS_TYPES,
  pkttype: { host: 0, unicast: 0, broadcast: 1, multicast: 2, other: 3 },
};

/** Numbers for names, as some versions of nft print them; undefined where a name says nothing. */
function numbersOf(field: string, values: ListedValues): readonly ListedRange[] | undefined {
  if (values.kind === 'numbers') return values.ranges;
  const numbers = values.names.map((name) => (/^\d+$/.test(name) ? Number(name) : NAMED[field]?.[name]));
  if (numbers.includes(undefined)) return undefined;
  return numbers.map((number) => ({ from: BigInt(number ?? 0), to: BigInt(number ?? 0) }));
}

const ordered = new WeakMap<
  readonly ListedMapElement[],
  readonly (ListedMapElement & { readonly key: ListedRange })[]
>();

/** The element of a map that is about a number. */
function elementAt(elements: readonly ListedMapElement[], value: bigint): ListedMapElement | undefined {
  const known =
    ordered.get(elements) ??
    elements
      .flatMap((element) => (typeof element.key === 'string' ? [] : [{ ...element, key: element.key }]))
      .toSorted((a, b) => (a.key.from < b.key.from ? -1 : 1));
  ordered.set(elements, known);
  let [begin, end] = [0, known.length];
  while (begin < end) {
    const middle = (begin + end) >> 1;
    const element = known[middle];
    if (element !== undefined && element.key.from <= value) begin = middle + 1;
    else end = middle;
  }
  const before = known[begin - 1];
  return before !== undefined && value <= before.key.to ? before : undefined;
}

interface VerdictRegion {
  readonly verdict: ListedMapElement['verdict'];
  readonly region: Region;
}

const grouped = new WeakMap<readonly ListedMapElement[], readonly VerdictRegion[]>();

/** What of a region the elements of a map are about, by what they say. */
function regionsOf(elements: readonly ListedMapElement[], region: Region): readonly VerdictRegion[] {
  const known = grouped.get(elements) ?? groupByVerdict(elements);
  grouped.set(elements, known);
  return known.flatMap(({ verdict, region: own }) => {
    const matched = within(region, own);
    return matched.length === 0 ? [] : [{ verdict, region: matched }];
  });
}

function groupByVerdict(elements: readonly ListedMapElement[]): readonly VerdictRegion[] {
  const byVerdict = new Map<
    string,
    { readonly verdict: ListedMapElement['verdict']; readonly ranges: ListedRange[] }
  >();
  for (const { key, verdict } of elements) {
    if (typeof key === 'string') continue;
    const text = 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
    const entry = byVerdict.get(text) ?? { verdict, ranges: [] };
    byVerdict.set(text, entry);
    entry.ranges.push(key);
  }
  return [...byVerdict.values()].map(({ verdict, ranges }) => ({ verdict, region: union(ranges) }));
}
