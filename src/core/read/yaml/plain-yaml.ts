import { isDeceptive } from './check-text.ts';
import { MAPPING, MarkWriter, SEQUENCE } from './node-marks.ts';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  DASH,
  DOUBLE_QUOTE,
  HASH,
  isLineEnd,
  isSeparator,
  lineEnd,
  NotPlain,
  notPlain,
  OPEN_BRACE,
  OPEN_BRACKET,
  plainScalarEnd,
  plainScalarValue,
  quotedScalarEnd,
  SINGLE_QUOTE,
  SPACE,
  spacesEnd,
} from './plain-scalar.ts';
import { shortTexts, type TextAt } from './short-texts.ts';
import { escapeKey, Mapping, type PlainDocument, type PlainValue } from './plain-value.ts';

/** What no policy may hold, tabs, and what is a line break, a space or nothing to see somewhere in Unicode. */
const ODD_CHARACTER =
  /[\0-\x09\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff]|\r(?!\n)|\p{Cs}/u;

/** Well below what the library takes, in levels and in characters of a key. */
const DEEPEST = 48;
const LONGEST_KEY = 512;

/** About the number of characters a node takes, key or value. */
const CHARACTERS_A_NODE = 8;

/**
 * Reads the part of YAML that people and programs write nearly always, in a twentieth of the library's time: block
 * collections indented by spaces, flow collections, scalars on one line, comments. Undefined for everything else and
 * for every mistake, which is for the library to read and to explain.
 */
export function readPlainYaml(text: string): PlainDocument | undefined {
  // INVARIANT: what is read here means the same to the library, which has nothing to say of it. When in doubt, leave it.
  if (ODD_CHARACTER.test(text) || isDeceptive(text)) return undefined;
  try {
    return new PlainReader(text).read();
  } catch (error) {
    if (error instanceof NotPlain) return undefined;
    throw error;
  }
}

class PlainReader {
  /** With a line feed behind it, so that the last line too has an end. */
  private readonly text: string;
  private readonly length: number;
  private readonly marks: MarkWriter;
  private readonly textAt: TextAt;
  /** The offset of what is read next. */
  private at = 0;
  private lineStart = 0;
  /** The column of the line that was gone on to; -1 behind the last one. */
  private indent = -1;
  /** Where the text of the value read last ends. */
  private end = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = `${text}\n`;
    this.length = text.length;
    this.marks = new MarkWriter(text.length / CHARACTERS_A_NODE);
    this.textAt = shortTexts(text);
  }

  read(): PlainDocument {
    this.nextLine();
    const value = this.indent < 0 ? notPlain() : this.readBlock(-1);
    if (this.indent >= 0) notPlain();
    return { value, marks: this.marks.marks() };
  }

  /** Goes behind what may stand between two tokens on one line: spaces, then a comment. */
  private skipRest(): void {
    const next = spacesEnd(this.text, this.at);
    if (this.text.charCodeAt(next) !== HASH) this.at = next;
    else if (next === this.at && this.at !== this.lineStart) notPlain();
    else this.at = lineEnd(this.text, next);
  }

  /** Goes on to the next line that has more than a comment. Nothing but a comment may be left of this one. */
  private nextLine(): void {
    for (;;) {
      this.skipRest();
      if (!isLineEnd(this.text.charCodeAt(this.at))) break;
      if (this.at >= this.length) {
        this.indent = -1;
        return;
      }
      this.at = this.lineStart = this.text.indexOf('\n', this.at) + 1;
    }
    if (spacesEnd(this.text, this.lineStart) !== this.at) notPlain();
    this.indent = this.at - this.lineStart;
  }

  private isAtDash(): boolean {
    return this.text.charCodeAt(this.at) === DASH && this.text.charCodeAt(this.at + 1) === SPACE;
  }

  private isAtQuote(): boolean {
    const code = this.text.charCodeAt(this.at);
    return code === DOUBLE_QUOTE || code === SINGLE_QUOTE;
  }

  private descend(): void {
    this.depth += 1;
    if (this.depth > DEEPEST) notPlain();
  }

  /** Reads a key that ends at `keyEnd`, and goes behind its colon. */
  private readKey(mapping: Record<string, PlainValue>, keyEnd: number, inFlow: boolean): string {
    const quoted = this.isAtQuote();
    const key = quoted ? this.textAt(this.at + 1, keyEnd - 1) : this.textAt(this.at, keyEnd);
    if (key.length > LONGEST_KEY || (key.endsWith('__') && escapeKey(key) !== key) || mapping[key] !== undefined)
      notPlain();
    if (this.text.charCodeAt(keyEnd) !== COLON) notPlain();
    if (!isSeparator(this.text, keyEnd, inFlow) && !(quoted && inFlow)) notPlain();
    this.marks.key(key, this.at, keyEnd);
    this.at = keyEnd + 1;
    this.end = keyEnd;
    return key;
  }

  private scalarEnd(inFlow: boolean): number {
    return this.isAtQuote() ? quotedScalarEnd(this.text, this.at) : plainScalarEnd(this.text, this.at, inFlow);
  }

  private readScalar(scalarEndsAt: number): PlainValue {
    this.marks.scalar(this.at, scalarEndsAt);
    const value = this.isAtQuote()
      ? this.textAt(this.at + 1, scalarEndsAt - 1)
      : plainScalarValue(this.textAt(this.at, scalarEndsAt));
    this.at = this.end = scalarEndsAt;
    return value;
  }

  /** A value without a text. */
  private readNothing(): PlainValue {
    this.marks.scalar(this.at, this.at);
    return null;
  }

  /** Goes to the next token of a flow collection, be it on a later line: that is indented by at least `column`. */
  private skipFlowSpace(column: number): void {
    this.skipRest();
    if (!isLineEnd(this.text.charCodeAt(this.at))) return;
    this.nextLine();
    if (this.indent < column) notPlain();
  }

  private readFlow(column: number): PlainValue {
    switch (this.text.charCodeAt(this.at)) {
      case OPEN_BRACE:
        return this.readFlowMapping(column);
      case OPEN_BRACKET:
        return this.readFlowSequence(column);
      default:
        return this.readScalar(this.scalarEnd(true));
    }
  }

  private readFlowMapping(column: number): PlainValue {
    this.descend();
    const mark = this.marks.begin(MAPPING, this.at);
    const mapping = new Mapping();
    this.at += 1;
    this.skipFlowSpace(column);
    while (this.text.charCodeAt(this.at) !== CLOSE_BRACE) {
      const key = this.readKey(mapping, this.scalarEnd(true), true);
      this.skipFlowSpace(column);
      const code = this.text.charCodeAt(this.at);
      mapping[key] = code === COMMA || code === CLOSE_BRACE ? this.readNothing() : this.readFlow(column);
      this.separate(column, CLOSE_BRACE);
    }
    return this.close(mark, mapping);
  }

  private readFlowSequence(column: number): PlainValue {
    this.descend();
    const mark = this.marks.begin(SEQUENCE, this.at);
    const sequence: PlainValue[] = [];
    this.at += 1;
    this.skipFlowSpace(column);
    while (this.text.charCodeAt(this.at) !== CLOSE_BRACKET) {
      sequence.push(this.readFlow(column));
      this.separate(column, CLOSE_BRACKET);
    }
    return this.close(mark, sequence);
  }

  /** Goes behind the comma after an entry; there need be none after the last. */
  private separate(column: number, closing: number): void {
    this.skipFlowSpace(column);
    if (this.text.charCodeAt(this.at) === COMMA) {
      this.at += 1;
      this.skipFlowSpace(column);
    } else if (this.text.charCodeAt(this.at) !== closing) notPlain();
  }

  private close(mark: number, value: PlainValue): PlainValue {
    this.at = this.end = this.at + 1;
    this.marks.end(mark, this.end);
    this.depth -= 1;
    return value;
  }

  /** Reads a flow collection or a scalar to the end of its line, within the block collection at `column`. */
  private readInline(column: number): PlainValue {
    const code = this.text.charCodeAt(this.at);
    const isFlow = code === OPEN_BRACE || code === OPEN_BRACKET;
    const value = isFlow ? this.readFlow(column + 1) : this.readScalar(this.scalarEnd(false));
    this.nextLine();
    // Text that is indented further would go on with a scalar.
    return this.indent > column ? notPlain() : value;
  }

  /** Reads what follows a key: on its line, or on the lines below. */
  private readEntry(column: number): PlainValue {
    const keyEnd = this.end;
    this.skipRest();
    if (!isLineEnd(this.text.charCodeAt(this.at))) return this.readInline(column);
    const nothing = this.at;
    this.nextLine();
    if (this.indent > column) return this.readBlock(column);
    if (this.indent === column && this.isAtDash()) return this.readSequence(column);
    this.marks.scalar(nothing, nothing);
    this.end = keyEnd;
    return null;
  }

  /** Reads a mapping whose keys stand at `column`, the first of them here. */
  private readMapping(column: number): PlainValue {
    this.descend();
    const mark = this.marks.begin(MAPPING, this.at);
    const mapping = new Mapping();
    do {
      const key = this.readKey(mapping, this.scalarEnd(false), false);
      mapping[key] = this.readEntry(column);
    } while (this.indent === column);
    return this.leave(mark, mapping, column);
  }

  private readSequence(column: number): PlainValue {
    this.descend();
    const mark = this.marks.begin(SEQUENCE, this.at);
    const sequence: PlainValue[] = [];
    do {
      this.at = spacesEnd(this.text, this.at + 1);
      sequence.push(this.isAtKey() ? this.readMapping(this.at - this.lineStart) : this.readInline(column));
    } while (this.indent === column && this.isAtDash());
    return this.leave(mark, sequence, column);
  }

  /** Whether an entry of a sequence is a mapping that begins on the dash's own line. */
  private isAtKey(): boolean {
    const code = this.text.charCodeAt(this.at);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) return false;
    return this.text.charCodeAt(this.scalarEnd(false)) === COLON;
  }

  private leave(mark: number, value: PlainValue, column: number): PlainValue {
    if (this.indent > column) notPlain();
    this.marks.end(mark, this.end);
    this.depth -= 1;
    return value;
  }

  /** Reads what begins a line of its own, further in than `column`. */
  private readBlock(column: number): PlainValue {
    if (this.isAtDash()) return this.readSequence(this.indent);
    const code = this.text.charCodeAt(this.at);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) return this.readInline(column);
    return this.readMapping(this.indent);
  }
}
