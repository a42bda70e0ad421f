import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml';
import { quote } from '../diagnostics/quote.ts';
import type { Report } from '../diagnostics/report.ts';
import { nameOf } from './check-text.ts';
import { nodeExtent } from './node-extent.ts';
import type { SpanAt } from './text-positions.ts';

/** A value as YAML's core schema knows it; mappings have no prototype. */
export type PlainValue = null | boolean | number | string | typeof REPORTED | readonly PlainValue[] | PlainMapping;

/** A mapping, with escaped keys. */
export interface PlainMapping {
  readonly [key: string]: PlainValue;
}

/** Stands for a value that was already reported: no schema accepts it, and nobody complains of it a second time. */
export const REPORTED = Symbol('reported');

/** All aliases of a file together may stand for this many values: more is a bomb, not a policy. */
const MOST_ALIASED = 100_000;

const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f]|\p{Cs}/u;
const CONTROL_OR_BREAK = /[\0-\x1f\x7f-\x9f]|\p{Cs}/u;

/** The values of a document, and the nodes its aliases stand for. */
export interface PlainDocument {
  readonly value: PlainValue;
  readonly targets: ReadonlyMap<Alias, Node>;
}

/** What an anchor names: its value once it is read, and how many values that holds. */
type Anchored = { readonly node: Node; readonly value: PlainValue; readonly weight: number } | 'unfinished';

/**
 * Reads nodes into values, with keys escaped by {@link escapeKey}. Reports duplicate keys (the first counts), numbers
 * not written in plain decimal, aliases that name nothing or too much, and control characters that quotes brought in.
 */
export function plainValue(document: Document.Parsed, spanAt: SpanAt, report: Report): PlainDocument {
  const anchors = new Map<string, Anchored>();
  const targets = new Map<Alias, Node>();
  let values = 0;
  let aliased = 0;
  const spanOf = (node: Node) => spanAt(...nodeExtent(node));

  const read = (node: Node | null): PlainValue => {
    values += 1;
    if (node === null) return null;
    if (isAlias(node)) return readAlias(node);
    const { anchor } = node as { anchor?: string };
    if (anchor === undefined) return readContent(node);
    anchors.set(anchor, 'unfinished');
    const before = values;
    const value = readContent(node);
    anchors.set(anchor, { node, value, weight: values - before + 1 });
    return value;
  };

  const readContent = (node: Node): PlainValue => {
    if (isMap<Scalar<string>, Node | null>(node)) return readMap(node);
    if (isSeq<Node | null>(node)) return node.items.map((item) => read(item));
    if (isScalar(node)) return readScalar(node);
    throw new Error('a YAML node of a kind unknown to the parser');
  };

  const readMap = (map: YAMLMap<Scalar<string>, Node | null>): PlainValue => {
    const result: Record<string, PlainValue> = Object.create(null);
    const first = new Map<string, Scalar<string>>();
    for (const { key, value: valueNode } of map.items) {
      checkCharacters(key, CONTROL_OR_BREAK);
      const value = read(valueNode);
      const earlier = first.get(key.value);
      if (earlier === undefined) {
        first.set(key.value, key);
        result[escapeKey(key.value)] = value;
        continue;
      }
      report({
        code: 'duplicate-key',
        span: spanOf(key),
        message: `the key ${quote(key.value)} is there twice`,
        help: 'bring the two together, or leave one out',
        related: [{ span: spanOf(earlier), message: 'first written here' }],
      });
    }
    return result;
  };

  const readScalar = (scalar: Scalar): PlainValue => {
    const { value, source = '' } = scalar;
    switch (typeof value) {
      case 'string':
        return checkCharacters(scalar, CONTROL) ? value : REPORTED;
      case 'number':
        if (/^(?:0|[1-9][0-9]*)$/.test(source) && Number.isSafeInteger(value)) return value;
        report({
          code: 'bad-number',
          span: spanOf(scalar),
          message: Number.isSafeInteger(value)
            ? `the number ${quote(source)} is not in plain decimal digits`
            : `${quote(source)} is not a number a policy can mean`,
          help: numberHelp(value, source),
        });
        return REPORTED;
      case 'boolean':
        return value;
      default:
        return null;
    }
  };

  /** Escapes in double quotes can bring in what the text itself may not hold. */
  const checkCharacters = (scalar: Scalar, bad: RegExp): boolean => {
    const match = typeof scalar.value === 'string' && scalar.type === 'QUOTE_DOUBLE' ? bad.exec(scalar.value) : null;
    if (match === null) return true;
    report({
      code: 'bad-character',
      span: spanOf(scalar),
      message: `${nameOf(match[0])} cannot stand in a text`,
      help: 'leave the escape out',
    });
    return false;
  };

  const readAlias = (alias: Alias): PlainValue => {
    const anchored = anchors.get(alias.source);
    if (anchored !== undefined && anchored !== 'unfinished' && aliased + anchored.weight <= MOST_ALIASED) {
      values += anchored.weight;
      aliased += anchored.weight;
      targets.set(alias, anchored.node);
      return anchored.value;
    }
    const name = quote(`*${alias.source}`);
    report({
      code: 'yaml-alias',
      span: spanOf(alias),
      message:
        anchored === undefined
          ? `the alias ${name} has no anchor before it`
          : anchored === 'unfinished'
            ? `the alias ${name} stands inside what it names`
            : `with ${name} the aliases of this file stand for more than ${MOST_ALIASED} values`,
      help: anchored === undefined ? `an anchor is written \`&\`; text that begins with \`*\` needs quotes` : undefined,
    });
    return REPORTED;
  };

  return { value: read(document.contents), targets };
}

/** Whether a value is a mapping. */
export function isMapping(value: PlainValue | undefined): value is PlainMapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function numberHelp(value: number, source: string): string {
  const quotes = 'if it is text, put it in quotes';
  return Number.isSafeInteger(value) && value >= 0 && String(value) !== source
    ? `write \`${value}\`; ${quotes}`
    : quotes;
}

/**
 * zod passes over a key `__proto__` in silence, in mappings of every kind. So that such a key is judged like any other,
 * it goes through zod with a `~` in front, and so that no two keys meet, `~__proto__` with one more.
 */
function escapeKey(key: string): string {
  return /^~*__proto__$/.test(key) ? `~${key}` : key;
}

/** The key that {@link escapeKey} was given. */
export function unescapeKey(key: string): string {
  return /^~+__proto__$/.test(key) ? key.slice(1) : key;
}
