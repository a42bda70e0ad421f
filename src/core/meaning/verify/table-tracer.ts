import { type Region, union, within, without } from '#core/meaning/headerspace/region.ts';
import { FAMILIES, highestAddress } from '#core/model/net/address.ts';
import type {
  ListedChain,
  ListedExpression,
  ListedRule,
  ListedTable,
  ListedValues,
} from '#core/model/nft/listed-table.ts';
import { revokedFields, revokedSet } from '#core/model/nft/revoked-flows.ts';
import { patternMatches } from '#core/model/policy/host.ts';
import type { Action, Direction } from '#core/model/policy/rule.ts';
import { elementAt, regionsOf, type VerdictRegion } from './map-elements.ts';
import { addressEnd, LOCAL, nameIn, numbersOf, type PacketTemplate, valueIn } from './packet-fields.ts';

/** Neighbouring addresses whose packets get the same action. */
export interface TracedRange {
  readonly from: bigint;
  readonly to: bigint;
  readonly action: Action;
}

/** What a table does to packets of one template, for all remote addresses. */
export interface TableTrace {
  /** Ascending. */
  readonly ranges: readonly TracedRange[];
  /** Rules that the packets meet and whose effect is not known. */
  readonly unknown: readonly ListedRule[];
}

/** The depth of jumps that nf_tables allows: Linux NFT_JUMP_STACK_SIZE. */
const MAX_JUMPS = 16;

const HOOKS: Readonly<Record<Direction, string>> = { inbound: 'input', outbound: 'output' };

/** Traces packets of one template through a table, as the kernel evaluates it; all remote addresses in one pass. */
export function traceTable(table: ListedTable, template: PacketTemplate): TableTrace {
  const tracer = new TableTracer(table, template);
  let region: Region = [{ from: 0n, to: highestAddress(template.family) }];
  let denied: Region = [];
  // A packet has to pass every base chain.
  for (const [name, { policy }] of baseChains(table, template.direction)) {
    const { accepted, dropped, rest } = tracer.traceChain(name, region, 0);
    denied = union([...denied, ...dropped, ...(policy === 'drop' ? rest : [])]);
    region = union([...accepted, ...(policy === 'drop' ? [] : rest)]);
  }
  const ranges = [
    ...region.map(({ from, to }): TracedRange => ({ from, to, action: 'allow' })),
    ...denied.map(({ from, to }): TracedRange => ({ from, to, action: 'deny' })),
  ].toSorted((a, b) => (a.from < b.from ? -1 : 1));
  return { ranges, unknown: [...tracer.unknown] };
}

type NamedChain = readonly [name: string, chain: ListedChain];

const baseChainsOfTables = new WeakMap<ListedTable, Readonly<Record<Direction, readonly NamedChain[]>>>();

function baseChains(table: ListedTable, direction: Direction): readonly NamedChain[] {
  const chainsAt = (hook: string): readonly NamedChain[] =>
    [...table.chains].filter(([, chain]) => chain.hook === hook);
  const chains = baseChainsOfTables.get(table) ?? {
    inbound: chainsAt(HOOKS.inbound),
    outbound: chainsAt(HOOKS.outbound),
  };
  baseChainsOfTables.set(table, chains);
  return chains[direction];
}

/** What became of the packets of a region in a chain. */
interface ChainOutcome {
  readonly accepted: Region;
  readonly dropped: Region;
  /** No rule has decided. */
  readonly rest: Region;
}

class TableTracer {
  readonly unknown = new Set<ListedRule>();
  readonly #table: ListedTable;
  readonly #template: PacketTemplate;

  constructor(table: ListedTable, template: PacketTemplate) {
    this.#table = table;
    this.#template = template;
  }

  /** Traces packets from or to the addresses of a region through a chain. */
  traceChain(name: string, region: Region, depth: number): ChainOutcome {
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
          const inner = this.traceChain(verdict.chain, matched, depth + 1);
          accepted.push(inner.accepted);
          dropped.push(inner.dropped);
          // Packets that return from a jump continue behind it; from a goto, where this chain was called.
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

  /** The verdicts of a rule, each with the addresses whose packets get it. */
  #verdicts(rule: ListedRule, region: Region): readonly VerdictRegion[] {
    const decides = rule.steps.some(({ kind }) => kind === 'verdict' || kind === 'map');
    if (!decides) {
      // Without a verdict a rule decides nothing, but an unknown expression may change the packet.
      if (rule.steps.some(({ kind }) => kind === 'unknown')) this.unknown.add(rule);
      return [];
    }
    // The traced packets do not belong to revoked flows.
    if (dropsRevoked(rule)) return [];
    let matched = region;
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

  /** The part of a region whose packets pass a test. */
  #test(
    { field, operator, values: tested }: Extract<ListedExpression, { readonly kind: 'test' }>,
    region: Region,
    rule: ListedRule,
  ): Region {
    const values = 'set' in tested ? this.#table.sets.get(tested.set) : tested;
    if (values === undefined) {
      this.unknown.add(rule);
      return [];
    }
    const own = this.#ownSources(field);
    if (own !== undefined) {
      const isOwn = numbersOf(field, values)?.some(({ from, to }) => from <= LOCAL && LOCAL <= to);
      if (isOwn !== undefined) return (operator === 'notAmong') === isOwn ? without(region, own) : within(region, own);
    }
    const end = addressEnd(field, this.#template);
    if (end === 'other family') return [];
    if (end === 'remote' && values.kind === 'numbers')
      return operator === 'notAmong' ? without(region, values.ranges) : within(region, values.ranges);
    const holds = this.#holds(field, operator, values);
    if (holds === undefined) {
      this.unknown.add(rule);
      return [];
    }
    return holds ? region : [];
  }

  /** The verdicts that a verdict map gives. */
  #lookUp(
    { field, map, elements: inline }: Extract<ListedExpression, { readonly kind: 'map' }>,
    region: Region,
    rule: ListedRule,
  ): readonly VerdictRegion[] {
    const elements = map === undefined ? inline : this.#table.maps.get(map);
    const end = addressEnd(field, this.#template);
    if (end === 'other family') return [];
    if (elements === undefined) {
      this.unknown.add(rule);
      return [];
    }
    if (end === 'remote') return regionsOf(elements, region);
    const value = valueIn(field, this.#template);
    const element =
      typeof value === 'bigint'
        ? elementAt(elements, value)
        : elements.find(
            ({ key }) =>
              typeof key === 'string' && this.#holds(field, 'among', { kind: 'names', names: [key] }) === true,
          );
    return element === undefined ? [] : [{ verdict: element.verdict, region }];
  }

  /** The remote addresses that a lookup of the source's route finds to be local; undefined for other fields. */
  #ownSources(field: string): Region | undefined {
    const { direction, own } = this.#template;
    if (direction === 'outbound') return undefined;
    if (field === 'fib.saddr.type') return own.host;
    return field === 'fib.saddr.iif.type' ? own.interface : undefined;
  }

  /** Whether a test of a field other than the remote address holds; undefined if that is not known. */
  #holds(field: string, operator: 'among' | 'notAmong' | 'common', values: ListedValues): boolean | undefined {
    const name = nameIn(field, this.#template);
    if (name !== undefined) {
      const isOutbound = field.startsWith('o');
      if (isOutbound !== (this.#template.direction === 'outbound') || values.kind !== 'names') return undefined;
      return (operator === 'notAmong') !== values.names.some((pattern) => patternMatches(pattern, name));
    }
    const value = valueIn(field, this.#template);
    if (value === 'none') return false;
    const numbers = numbersOf(field, values);
    if (value === undefined || numbers === undefined) return undefined;
    // Each number is one bit of the label, and the traced packets have none set.
    if (field === 'ct.label') return operator === 'notAmong';
    if (operator === 'common') return numbers.some(({ from }) => (from & value) !== 0n);
    return (operator === 'notAmong') !== numbers.some(({ from, to }) => from <= value && value <= to);
  }
}

/** Whether a rule does nothing but drop packets of revoked flows. */
function dropsRevoked({ steps }: ListedRule): boolean {
  const [test, verdict, ...more] = steps.filter(({ kind }) => kind !== 'aside');
  return (
    test?.kind === 'test' &&
    test.operator === 'among' &&
    'set' in test.values &&
    REVOKED_LOOKUPS.get(test.values.set) === test.field &&
    verdict?.kind === 'verdict' &&
    verdict.verdict.kind === 'drop' &&
    more.length === 0
  );
}

const REVOKED_LOOKUPS = new Map(FAMILIES.map((family) => [revokedSet(family), revokedFields(family)]));
