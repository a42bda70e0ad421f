import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml';
import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import type { Span } from '#core/model/policy/span.ts';
import { BAD_IN_TEXT, nameOf } from './check-text.ts';
import { nodeExtent } from './node-extent.ts';
import { MAPPING, type Mark, MarkWriter, type NodeMarks, SEQUENCE } from './node-marks.ts';
import type { SpanAt } from './text-positions.ts';
import { escapeKey, Mapping, REPORTED, type YamlValue } from './yaml-value.ts';

/** The values that all aliases of a file together may stand for: more is a bomb, not a policy. */
const MAX_ALIASED = 100_000;

const BAD_IN_KEY = new RegExp(`[\\t\\n]|${BAD_IN_TEXT.source}`, 'u');

/** The values of a document and where they stand. */
export interface NodeValues {
  readonly value: YamlValue;
  readonly marks: NodeMarks;
  /** Keys that one mapping has twice; `value` lacks what stands under the second. */
  readonly duplicates: ReadonlySet<string>;
}

/** What reading nodes needs besides them. */
export interface NodeContext {
  readonly spanAt: SpanAt;
  readonly report: Report;
  /** Offsets, ascending, of mistakes already reported: the first scalar that ends at one or behind it has no value. */
  readonly unclear: readonly number[];
}

/**
 * Reads nodes into values. Reports duplicate keys (the first counts), numbers not written in plain decimal, aliases
 * that name nothing or too much, and control characters written as escapes.
 */
export function nodeValues(document: Document.Parsed, context: NodeContext): NodeValues {
  return new NodeReader(context).read(document);
}

/** What an anchor names: its value once read, where it stands, and how many values it holds. */
type Anchored = { readonly mark: Mark; readonly value: YamlValue; readonly weight: number } | 'unfinished';

class NodeReader {
  readonly #context: NodeContext;
  readonly #marks = new MarkWriter(16);
  readonly #duplicates = new Set<string>();
  readonly #anchors = new Map<string, Anchored>();
  /** How many of the offsets in `unclear` are behind us. */
  #unclearPassed = 0;
  #valuesRead = 0;
  #valuesAliased = 0;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  read(document: Document.Parsed): NodeValues {
    const value = this.#value(document.contents);
    return { value, marks: this.#marks.marks(), duplicates: this.#duplicates };
  }

  #value(node: Node | null): YamlValue {
    this.#valuesRead += 1;
    if (node === null) {
      this.#marks.nothing();
      return null;
    }
    if (isAlias(node)) return this.#alias(node);
    const { anchor } = node as { anchor?: string };
    if (anchor === undefined) return this.#content(node);
    this.#anchors.set(anchor, 'unfinished');
    const before = this.#valuesRead;
    const mark = this.#marks.next();
    const value = this.#content(node);
    this.#anchors.set(anchor, { mark, value, weight: this.#valuesRead - before + 1 });
    return value;
  }

  #content(node: Node): YamlValue {
    const [start, end] = nodeExtent(node);
    if (isScalar(node)) {
      this.#marks.scalar(start, end);
      return this.#isUnclear(end) ? REPORTED : this.#scalar(node);
    }
    const mark = this.#marks.begin(isMap(node) ? MAPPING : SEQUENCE, start);
    const value = isMap<Scalar<string>, Node | null>(node) ? this.#mapping(node) : this.#sequence(node);
    this.#marks.end(mark, end);
    return value;
  }

  #isUnclear(end: number): boolean {
    const before = this.#unclearPassed;
    const { unclear } = this.#context;
    while ((unclear[this.#unclearPassed] ?? Number.POSITIVE_INFINITY) <= end) this.#unclearPassed += 1;
    return this.#unclearPassed > before;
  }

  #sequence(node: Node): YamlValue {
    if (isSeq<Node | null>(node)) return node.items.map((item) => this.#value(item));
    throw new Error('a YAML node of a kind unknown to the reader');
  }

  #mapping(node: YAMLMap<Scalar<string>, Node | null>): YamlValue {
    const mapping = new Mapping();
    const firstKeys = new Map<string, Scalar<string>>();
    for (const { key, value: valueNode } of node.items) {
      // A key of any other kind is a mistake that is already reported.
      if (!isScalar(key) || typeof key.value !== 'string') continue;
      this.#isUnclear(nodeExtent(key)[1]);
      this.#checkCharacters(key, BAD_IN_KEY);
      this.#marks.key(key.value, ...nodeExtent(key));
      const value = this.#value(valueNode);
      const earlier = firstKeys.get(key.value);
      if (earlier === undefined) {
        firstKeys.set(key.value, key);
        mapping[escapeKey(key.value)] = value;
      } else {
        this.#reportDuplicate(key, earlier);
      }
    }
    return mapping;
  }

  #reportDuplicate(key: Scalar<string>, earlier: Scalar<string>): void {
    this.#duplicates.add(key.value);
    this.#context.report({
      code: 'duplicate-key',
      span: this.#spanOf(key),
      message: `the key ${quote(key.value)} appears twice`,
      help: 'merge the two, or leave one out',
      related: [{ span: this.#spanOf(earlier), message: 'first written here' }],
    });
  }

  #scalar(scalar: Scalar): YamlValue {
    const { value, source = '' } = scalar;
    switch (typeof value) {
      case 'string':
        return this.#checkCharacters(scalar, BAD_IN_TEXT) ? value : REPORTED;
      case 'number':
        if (/^(?:0|[1-9][0-9]*)$/.test(source) && Number.isSafeInteger(value)) return value;
        this.#context.report({
          code: 'bad-number',
          span: this.#spanOf(scalar),
          message: numberMessage(value, source),
          help: numberHelp(value, source),
        });
        return REPORTED;
      case 'boolean':
        return value;
      default:
        return null;
    }
  }

  /** Escapes in double quotes can add characters that the text itself may not hold. */
  #checkCharacters(scalar: Scalar, bad: RegExp): boolean {
    const match = typeof scalar.value === 'string' && scalar.type === 'QUOTE_DOUBLE' ? bad.exec(scalar.value) : null;
    if (match === null) return true;
    this.#context.report({
      code: 'bad-character',
      span: this.#spanOf(scalar),
      message: `${nameOf(match[0])} may not appear in a text`,
      help: 'leave the escape out',
    });
    return false;
  }

  #alias(alias: Alias): YamlValue {
    if (this.#isUnclear(nodeExtent(alias)[1])) {
      this.#marks.nothing();
      return REPORTED;
    }
    const anchored = this.#anchors.get(alias.source);
    const isRead = anchored !== undefined && anchored !== 'unfinished';
    if (isRead && this.#valuesAliased + anchored.weight <= MAX_ALIASED) {
      this.#valuesRead += anchored.weight;
      this.#valuesAliased += anchored.weight;
      this.#marks.alias(anchored.mark);
      return anchored.value;
    }
    this.#marks.nothing();
    const name = quote(`*${alias.source}`);
    this.#context.report({
      code: 'yaml-alias',
      span: this.#spanOf(alias),
      message:
        anchored === undefined
          ? `the alias ${name} has no anchor before it`
          : anchored === 'unfinished'
            ? `the alias ${name} stands inside what it names`
            : `with ${name} the aliases of this file stand for more than ${MAX_ALIASED} values`,
      help: anchored === undefined ? 'an anchor is written `&`; text that begins with `*` needs quotes' : undefined,
    });
    return REPORTED;
  }

  #spanOf(node: Node): Span {
    return this.#context.spanAt(...nodeExtent(node));
  }
}

function numberMessage(value: number, source: string): string {
  if (!Number.isSafeInteger(value)) return `${quote(source)} is not a number a policy can mean`;
  return value < 0
    ? `${quote(source)} is negative, and no number of a policy is`
    : `the number ${quote(source)} is not in plain decimal digits`;
}

function numberHelp(value: number, source: string): string {
  if (value === -1) return 'where other tools write `-1` for all, leave the key out';
  const quotes = 'if it is text, put it in quotes';
  return Number.isSafeInteger(value) && value >= 0 && String(value) !== source
    ? `write \`${value}\`; ${quotes}`
    : quotes;
}
