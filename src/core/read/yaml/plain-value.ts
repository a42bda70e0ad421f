import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml';
import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import { BAD_IN_TEXT, nameOf } from './check-text.ts';
import { nodeExtent } from './node-extent.ts';
import { type Mark, MAPPING, MarkWriter, type NodeMarks, SEQUENCE } from './node-marks.ts';
import type { SpanAt } from './text-positions.ts';

/** A value as YAML's core schema knows it; mappings inherit nothing. */
export type PlainValue = null | boolean | number | string | typeof REPORTED | readonly PlainValue[] | PlainMapping;

/** A mapping, with escaped keys. */
export interface PlainMapping {
  readonly [key: string]: PlainValue;
}

/** Stands for a value that was already reported: no schema accepts it, and nobody complains of it a second time. */
export const REPORTED = Symbol('reported');

/** All aliases of a file together may stand for this many values: more is a bomb, not a policy. */
const MOST_ALIASED = 100_000;

const BAD_IN_KEY = new RegExp(`[\\t\\n]|${BAD_IN_TEXT.source}`, 'u');

/** The values of a document, with keys escaped by {@link escapeKey}, and where they stand. */
export interface PlainDocument {
  readonly value: PlainValue;
  readonly marks: NodeMarks;
  /** Keys that one mapping has twice; what stands under the second is not in `value`. */
  readonly duplicates?: ReadonlySet<string>;
  /** Of a document with mistakes of YAML: what is known of the text that `value` was read from. */
  readonly mended?: Mended | undefined;
}

/** How a text with mistakes of YAML was read for more of them. */
export interface Mended {
  readonly spanAt: SpanAt;
  /** The lines that have such a mistake: nothing else that is found on them is sure. */
  readonly unsure: ReadonlySet<number>;
  /** Whether names may be missing of what the text was meant to say. */
  readonly isPartial: boolean;
}

/** What an anchor names: its value once it is read, where it stands, and how many values it holds. */
type Anchored = { readonly mark: Mark; readonly value: PlainValue; readonly weight: number } | 'unfinished';

/**
 * What mappings are made of: like objects without a prototype they have no keys but their own, and unlike those they
 * are quick to read and small, since the engine finds that thousands of rules have the same keys.
 */
export const Mapping = function () {} as unknown as new () => Record<string, PlainValue>;
Mapping.prototype = Object.create(null) as Record<string, PlainValue>;

/** What reading nodes needs beside them. */
export interface PlainContext {
  readonly spanAt: SpanAt;
  readonly report: Report;
  /** Offsets, ascending, of mistakes already reported: the first scalar that ends behind one is no value. */
  readonly unclear: readonly number[];
}

/**
 * Reads nodes into values, with keys escaped by {@link escapeKey}. Reports duplicate keys (the first counts), numbers
 * not written in plain decimal, aliases that name nothing or too much, and control characters that quotes brought in.
 */
export function plainValue(document: Document.Parsed, { spanAt, report, unclear }: PlainContext): PlainDocument {
  let unclearBefore = 0;
  const anchors = new Map<string, Anchored>();
  const marks = new MarkWriter(16);
  const duplicates = new Set<string>();
  let values = 0;
  let aliased = 0;
  const spanOf = (node: Node) => spanAt(...nodeExtent(node));

  const read = (node: Node | null): PlainValue => {
    values += 1;
    if (node === null) {
      marks.nothing();
      return null;
    }
    if (isAlias(node)) return readAlias(node);
    const { anchor } = node as { anchor?: string };
    if (anchor === undefined) return readContent(node);
    anchors.set(anchor, 'unfinished');
    const before = values;
    const mark = marks.next();
    const value = readContent(node);
    anchors.set(anchor, { mark, value, weight: values - before + 1 });
    return value;
  };

  const readContent = (node: Node): PlainValue => {
    const [start, end] = nodeExtent(node);
    if (isScalar(node)) {
      marks.scalar(start, end);
      return isUnclear(end) ? REPORTED : readScalar(node);
    }
    const mark = marks.begin(isMap(node) ? MAPPING : SEQUENCE, start);
    const value = isMap<Scalar<string>, Node | null>(node) ? readMap(node) : readSequence(node);
    marks.end(mark, end);
    return value;
  };

  const isUnclear = (end: number): boolean => {
    const before = unclearBefore;
    while ((unclear[unclearBefore] ?? Number.POSITIVE_INFINITY) <= end) unclearBefore += 1;
    return unclearBefore > before;
  };

  const readSequence = (node: Node): PlainValue => {
    if (isSeq<Node | null>(node)) return node.items.map((item) => read(item));
    throw new Error('a YAML node of a kind unknown to the parser');
  };

  const readMap = (map: YAMLMap<Scalar<string>, Node | null>): PlainValue => {
    const result = new Mapping();
    const first = new Map<string, Scalar<string>>();
    for (const { key, value: valueNode } of map.items) {
      // A key of any other kind is a mistake that is already reported.
      if (!isScalar(key) || typeof key.value !== 'string') continue;
      isUnclear(nodeExtent(key)[1]);
      checkCharacters(key, BAD_IN_KEY);
      marks.key(key.value, ...nodeExtent(key));
      const value = read(valueNode);
      const earlier = first.get(key.value);
      if (earlier === undefined) {
        first.set(key.value, key);
        result[escapeKey(key.value)] = value;
        continue;
      }
      duplicates.add(key.value);
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
        return checkCharacters(scalar, BAD_IN_TEXT) ? value : REPORTED;
      case 'number':
        if (/^(?:0|[1-9][0-9]*)$/.test(source) && Number.isSafeInteger(value)) return value;
        report({
          code: 'bad-number',
          span: spanOf(scalar),
          message:
            Number.isSafeInteger(value) && value < 0
              ? `${quote(source)} is negative, and no number of a policy is`
              : Number.isSafeInteger(value)
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
    if (isUnclear(nodeExtent(alias)[1])) {
      marks.nothing();
      return REPORTED;
    }
    const anchored = anchors.get(alias.source);
    if (anchored !== undefined && anchored !== 'unfinished' && aliased + anchored.weight <= MOST_ALIASED) {
      values += anchored.weight;
      aliased += anchored.weight;
      marks.alias(anchored.mark);
      return anchored.value;
    }
    marks.nothing();
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

  const value = read(document.contents);
  return { value, marks: marks.marks(), duplicates };
}

/** Whether a value is a mapping. */
export function isMapping(value: PlainValue | undefined): value is PlainMapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function numberHelp(value: number, source: string): string {
  if (value === -1) return 'where other tools write `-1` for all, leave the key out';
  const quotes = 'if it is text, put it in quotes';
  return Number.isSafeInteger(value) && value >= 0 && String(value) !== source
    ? `write \`${value}\`; ${quotes}`
    : quotes;
}

/**
 * zod passes over a key `__proto__` in silence, in mappings of every kind. So that such a key is judged like any other,
 * it goes through zod with a `~` in front, and so that no two keys meet, `~__proto__` with one more.
 */
export function escapeKey(key: string): string {
  return /^~*__proto__$/.test(key) ? `~${key}` : key;
}

/** The key that {@link escapeKey} was given. */
export function unescapeKey(key: string): string {
  return /^~+__proto__$/.test(key) ? key.slice(1) : key;
}
