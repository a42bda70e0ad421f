import ipaddr from 'ipaddr.js';
import { addressBits, addressFromBytes } from '#core/model/net/address.ts';
import type {
  ListedChain,
  ListedExpression,
  ListedMapElement,
  ListedRange,
  ListedRule,
  ListedTable,
  ListedValues,
} from '#core/model/nft/listed-table.ts';
import { REVOKED_SETS } from '#core/model/nft/revoked-flows.ts';
import type { SimpleVerdict } from '#core/model/nft/ruleset.ts';
import type { Nft } from './nft.ts';

/** The JSON that nft prints: libnftables-json(5). */
type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Reads all of a table, `inet secgroupd`, elements included; undefined where there is none. Throws an NftError. */
export async function readTable(nft: Nft, table: string): Promise<ListedTable | undefined> {
  const listing = await nft.listJson(['table', ...table.split(' ')]);
  return listing === undefined ? undefined : decodeTable(JSON.parse(listing) as Json);
}

/** Decodes a listing of nft. Unknown expressions are decoded as unknown. */
export function decodeTable(listing: Json): ListedTable {
  const chains = new Map<string, ListedChain & { readonly rules: ListedRule[] }>();
  const sets = new Map<string, ListedValues>();
  const maps = new Map<string, readonly ListedMapElement[]>();
  let revoked = 0;
  for (const object of listOf(get(listing, 'nftables'))) {
    const [chain, rule, set, map] = ['chain', 'rule', 'set', 'map'].map((kind) => get(object, kind));
    if (chain !== undefined) {
      const policy = get(chain, 'policy');
      chains.set(textOf(get(chain, 'name')), {
        hook: get(chain, 'hook') === undefined ? undefined : textOf(get(chain, 'hook')),
        policy: policy === 'accept' || policy === 'drop' ? policy : undefined,
        rules: [],
      });
    }
    if (rule !== undefined) chains.get(textOf(get(rule, 'chain')))?.rules.push(decodeRule(rule));
    if (REVOKED_SETS.includes(textOf(get(set, 'name')))) revoked += listOf(get(set, 'elem')).length;
    if (set !== undefined) sets.set(textOf(get(set, 'name')), decodeValues(get(set, 'elem') ?? []));
    if (map !== undefined) maps.set(textOf(get(map, 'name')), decodeElements(get(map, 'elem') ?? []));
  }
  return { chains, sets, maps, revoked };
}

function decodeRule(rule: Json): ListedRule {
  const expressions = listOf(get(rule, 'expr'));
  const text = `chain ${textOf(get(rule, 'chain'))}: ${JSON.stringify(expressions)}`;
  return { steps: expressions.map(decodeStep), text };
}

/** Statements that decide nothing: counters, logging, and marks for later packets. */
const ASIDE = ['counter', 'log', 'mangle'];

/** Statements that only some packets pass: limits, and additions to a set, which may be full or have limits. */
const FICKLE = ['limit', 'set'];

function decodeStep(expression: Json): ListedExpression {
  const [[kind, body] = ['', undefined]] = Object.entries(objectOf(expression));
  if (ASIDE.includes(kind)) return { kind: 'aside' };
  if (FICKLE.includes(kind)) return { kind: 'limit' };
  const verdict = decodeVerdict(expression);
  if (verdict !== undefined) return { kind: 'verdict', verdict };
  if (kind === 'match') return decodeMatch(body);
  if (kind !== 'vmap') return { kind: 'unknown' };
  const field = fieldOf(get(body, 'key'));
  const data = get(body, 'data');
  if (field === undefined || data === undefined) return { kind: 'unknown' };
  if (typeof data === 'string') return { kind: 'map', field, map: data.replace(/^@/, ''), elements: [] };
  return { kind: 'map', field, map: undefined, elements: decodeElements(get(data, 'set') ?? []) };
}

const OPERATORS: Readonly<Record<string, 'among' | 'notAmong' | 'common'>> = {
  '==': 'among',
  '!=': 'notAmong',
  in: 'common',
};

function decodeMatch(body: Json | undefined): ListedExpression {
  const field = fieldOf(get(body, 'left'));
  const operator = OPERATORS[textOf(get(body, 'op'))];
  const right = get(body, 'right');
  if (field === undefined || operator === undefined || right === undefined) return { kind: 'unknown' };
  if (typeof right === 'string' && right.startsWith('@'))
    return { kind: 'test', field, operator, values: { set: right.slice(1) } };
  return { kind: 'test', field, operator, values: decodeValues(get(right, 'set') ?? right) };
}

/** `tcp.dport`, `iifname`, `ct.state`, `fib.saddr.iif.type`; `tcp.flags & 23` for masked ones, `ip.saddr . tcp.dport` for several at once. */
function fieldOf(expression: Json | undefined): string | undefined {
  const concatenated = get(expression, 'concat');
  if (concatenated !== undefined) {
    const fields = listOf(concatenated).map(fieldOf);
    return fields.includes(undefined) ? undefined : fields.join(' . ');
  }
  const [payload, meta, ct, fib, masked] = ['payload', 'meta', 'ct', 'fib', '&'].map((kind) => get(expression, kind));
  if (payload !== undefined) return `${textOf(get(payload, 'protocol'))}.${textOf(get(payload, 'field'))}`;
  if (meta !== undefined) return textOf(get(meta, 'key'));
  if (ct !== undefined) return `ct.${textOf(get(ct, 'key'))}`;
  if (fib !== undefined) return ['fib', ...listOf(get(fib, 'flags')).map(textOf), textOf(get(fib, 'result'))].join('.');
  const [left, mask] = listOf(masked);
  const field = left === undefined ? undefined : fieldOf(left);
  if (field === undefined || mask === undefined) return undefined;
  const values = decodeValues(mask);
  const bits = values.kind === 'numbers' ? values.ranges.reduce((sum, { from }) => sum | from, 0n) : undefined;
  return bits === undefined ? undefined : `${field} & ${bits}`;
}

function decodeElements(elements: Json): readonly ListedMapElement[] {
  return listOf(elements).flatMap((element): readonly ListedMapElement[] => {
    const [key, value] = listOf(element);
    const verdict = value === undefined ? undefined : decodeVerdict(value);
    const bare = key === undefined ? undefined : bareElement(key);
    const decoded = typeof bare === 'string' && !isAddress(bare) ? bare : rangeOf(bare);
    return verdict === undefined || decoded === undefined ? [] : [{ key: decoded, verdict }];
  });
}

function decodeVerdict(expression: Json | undefined): SimpleVerdict | undefined {
  const [[kind, body] = ['', undefined]] = Object.entries(objectOf(expression));
  if (kind === 'accept' || kind === 'drop' || kind === 'return') return { kind };
  if (kind === 'jump' || kind === 'goto') return { kind, chain: textOf(get(body, 'target')) };
  return undefined;
}

function decodeValues(values: Json): ListedValues {
  const bare = (Array.isArray(values) ? (values as readonly Json[]) : [values]).map(bareElement);
  const names = bare.filter((value): value is string => typeof value === 'string' && !isAddress(value));
  if (names.length > 0) return { kind: 'names', names };
  const ranges = bare.flatMap((value) => rangeOf(value) ?? []);
  return { kind: 'numbers', ranges: ranges.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0)) };
}

/** An element without its attributes, such as comments. */
function bareElement(element: Json): Json {
  return get(get(element, 'elem'), 'val') ?? element;
}

function rangeOf(value: Json | undefined): ListedRange | undefined {
  if (typeof value === 'number') return { from: BigInt(value), to: BigInt(value) };
  if (typeof value === 'string') {
    const address = addressValue(value);
    return address === undefined ? undefined : { from: address.value, to: address.value };
  }
  const [prefix, range] = [get(value, 'prefix'), get(value, 'range')];
  if (range !== undefined) {
    const [from, to] = listOf(range).map(rangeOf);
    return from === undefined || to === undefined ? undefined : { from: from.from, to: to.to };
  }
  const [base, length] = [addressValue(textOf(get(prefix, 'addr'))), get(prefix, 'len')];
  if (base === undefined || typeof length !== 'number') return undefined;
  const rest = (1n << BigInt(addressBits(base.family) - length)) - 1n;
  return { from: base.value & ~rest, to: base.value | rest };
}

function isAddress(text: string): boolean {
  return ipaddr.isValid(text) && /[.:]/.test(text);
}

function addressValue(text: string) {
  return isAddress(text) ? addressFromBytes(Uint8Array.from(ipaddr.parse(text).toByteArray())) : undefined;
}

function get(json: Json | undefined, key: string): Json | undefined {
  return objectOf(json)[key];
}

function objectOf(json: Json | undefined): { readonly [key: string]: Json | undefined } {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
    ? (json as { readonly [key: string]: Json })
    : {};
}

function listOf(json: Json | undefined): readonly Json[] {
  return Array.isArray(json) ? (json as readonly Json[]) : [];
}

function textOf(json: Json | undefined): string {
  return typeof json === 'string' ? json : '';
}
