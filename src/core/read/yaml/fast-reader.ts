import {
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  type MappingEvent,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
  YAMLException,
} from 'js-yaml';
import { isDeceptive } from './check-text.ts';
import { MAPPING, MarkWriter, type NodeMarks, SEQUENCE } from './node-marks.ts';
import { plainValue } from './plain-scalar.ts';
import { escapeKey, Mapping, type YamlValue } from './yaml-value.ts';

/** What no policy may hold, tabs, and every character that Unicode counts as a line break, a space or invisible. */
const UNUSUAL_CHARACTER =
  /[\0-\x09\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff]|\r(?!\n)|\p{Cs}/u;

/**
 * Where js-yaml 5.5 differs: it has no event for a directive with a name of its own, nor for the end of a document
 * without content, and it counts no indentation on the first line.
 */
function isMisread(text: string): boolean {
  return text.startsWith(' ') || /^(?:%|\.\.\.)/m.test(text);
}

/** Well below what the library accepts, in levels and in characters of a key. */
const MAX_DEPTH = 48;
const MAX_KEY_LENGTH = 512;

/** A guess at the number of characters a node takes, key or value. */
const CHARACTERS_A_NODE = 8;

const COLON = 0x3a;

/** A sound document: its values, and where they stand. */
export interface SoundYaml {
  readonly value: YamlValue;
  readonly marks: NodeMarks;
}

/**
 * Reads the YAML that people and programs nearly always write: block and flow collections, comments, and scalars on one
 * line without escapes. Returns undefined for all other YAML and for every mistake: the library reader reads and
 * explains those, and takes some ten times as long.
 */
export function readFast(text: string): SoundYaml | undefined {
  // INVARIANT: whatever is read here, the library reads as the same values in the same places, and reports nothing.
  if (UNUSUAL_CHARACTER.test(text) || isDeceptive(text) || isMisread(text)) return undefined;
  const events = eventsOf(text);
  return events === undefined ? undefined : new EventReader(text, events).read();
}

function eventsOf(text: string): readonly Event[] | undefined {
  try {
    return parseEvents(text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    if (error instanceof YAMLException) return undefined;
    throw error;
  }
}

class EventReader {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #marks: MarkWriter;
  /** Equal keys are one string, by which the engine finds properties faster. */
  readonly #keys = new Map<string, string>();
  /** The index of the next event. */
  #at = 0;
  /** The offset at which the text of the last value or key ends. */
  #end = 0;
  #isSupported = true;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
    this.#marks = new MarkWriter(text.length / CHARACTERS_A_NODE);
  }

  read(): SoundYaml | undefined {
    // The first event begins the document.
    this.#next();
    const root = this.#events[this.#at];
    if (root?.type !== EVENT_ID.MAPPING && root?.type !== EVENT_ID.SEQUENCE) return undefined;
    const value = this.#value();
    this.#next();
    const isWhole = this.#at === this.#events.length;
    return this.#isSupported && isWhole ? { value, marks: this.#marks.marks() } : undefined;
  }

  #next(): Event | undefined {
    const event = this.#events[this.#at];
    this.#at += 1;
    return event;
  }

  /** Whether the collection being read has another entry. */
  #hasMore(): boolean {
    const event = this.#events[this.#at];
    return event !== undefined && event.type !== EVENT_ID.POP;
  }

  /** Whether the next scalar begins on a later line than what was read last ends. */
  #isOnNewLine(): boolean {
    const event = this.#events[this.#at];
    const feed = this.#text.indexOf('\n', this.#end);
    return event?.type === EVENT_ID.SCALAR && feed >= 0 && feed < event.valueStart;
  }

  /** Leaves the document to the library; what is read of it from here on does not matter. */
  #unsupported(): null {
    this.#isSupported = false;
    return null;
  }

  #value(): YamlValue {
    const event = this.#next();
    switch (event?.type) {
      case EVENT_ID.SCALAR:
        return this.#scalar(event);
      case EVENT_ID.MAPPING:
        return this.#mapping(event);
      case EVENT_ID.SEQUENCE:
        return this.#sequence(event);
      default:
        return this.#unsupported();
    }
  }

  #scalar(event: ScalarEvent): YamlValue {
    const source = this.#source(event);
    if (source === undefined) return this.#unsupported();
    this.#marks.scalar(sourceStart(event), this.#end);
    if (event.style !== SCALAR_STYLE.PLAIN) return source;
    const value = plainValue(source);
    return value === undefined ? this.#unsupported() : value;
  }

  /** The characters of a scalar, without quotes; undefined for those that are not read here. */
  #source(event: ScalarEvent): string | undefined {
    if (!event.fast || hasProperties(event)) return undefined;
    this.#end = event.style === SCALAR_STYLE.PLAIN ? event.valueEnd : event.valueEnd + 1;
    return this.#text.slice(event.valueStart, event.valueEnd);
  }

  #mapping(event: MappingEvent): YamlValue {
    // A pair within brackets, `[a: b]`, is a mapping without braces.
    const isPair = event.style === COLLECTION_STYLE.FLOW && this.#text[event.start] !== '{';
    if (isPair || hasProperties(event)) this.#unsupported();
    const mark = this.#marks.begin(MAPPING, event.start);
    this.#end = event.start + 1;
    const mapping = new Mapping();
    const isBlock = event.style === COLLECTION_STYLE.BLOCK;
    for (let isFirst = true; this.#hasMore(); isFirst = false) {
      // js-yaml accepts `a:`, on the next line `- "b"c: d`, as if `c` began a line.
      if (isBlock && !isFirst && !this.#isOnNewLine()) this.#unsupported();
      const key = this.#key(mapping);
      mapping[key] = isEmpty(this.#events[this.#at]) ? this.#nothing() : this.#value();
    }
    this.#close(mark, event);
    return mapping;
  }

  #sequence(event: SequenceEvent): YamlValue {
    if (hasProperties(event)) this.#unsupported();
    const mark = this.#marks.begin(SEQUENCE, event.start);
    this.#end = event.start + 1;
    const sequence: YamlValue[] = [];
    while (this.#hasMore()) sequence.push(this.#value());
    this.#close(mark, event);
    return sequence;
  }

  #close(mark: number, { style }: MappingEvent | SequenceEvent): void {
    this.#next();
    if (style === COLLECTION_STYLE.FLOW) this.#end = closingEnd(this.#text, this.#end);
    this.#marks.end(mark, this.#end);
  }

  /** A value without text, which the key before it stands for. */
  #nothing(): null {
    this.#next();
    this.#marks.nothing();
    return null;
  }

  /** Reads a key, which must be new to the mapping and end at its colon. */
  #key(mapping: Readonly<Record<string, YamlValue>>): string {
    const event = this.#next();
    const source = event?.type === EVENT_ID.SCALAR ? this.#source(event) : undefined;
    if (event?.type !== EVENT_ID.SCALAR || source === undefined) {
      this.#unsupported();
      return '';
    }
    const key = this.#shared(source);
    const isProto = key.endsWith('__') && escapeKey(key) !== key;
    if (key.length > MAX_KEY_LENGTH || isProto || mapping[key] !== undefined) this.#unsupported();
    if (this.#text.charCodeAt(this.#end) !== COLON) this.#unsupported();
    this.#marks.key(key, sourceStart(event), this.#end);
    return key;
  }

  #shared(key: string): string {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    this.#keys.set(key, key);
    return key;
  }
}

/** The offset at which a scalar begins, with its quote. */
function sourceStart({ style, valueStart }: ScalarEvent): number {
  return style === SCALAR_STYLE.PLAIN ? valueStart : valueStart - 1;
}

function hasProperties({ anchorStart, tagStart }: ScalarEvent | MappingEvent | SequenceEvent): boolean {
  return anchorStart >= 0 || tagStart >= 0;
}

function isEmpty(event: Event | undefined): boolean {
  return event?.type === EVENT_ID.SCALAR && event.valueStart < 0 && !hasProperties(event);
}

/** The offset behind the bracket that closes a flow collection, whose last entry ends at `from`. */
function closingEnd(text: string, from: number): number {
  let at = from;
  // Spaces, a comma, the colon of a key without a value and comments may stand before it.
  for (; at < text.length; at += 1) {
    const character = text[at];
    if (character === ']' || character === '}') break;
    if (character === '#') at = endOfLine(text, at);
  }
  return at + 1;
}

function endOfLine(text: string, at: number): number {
  const feed = text.indexOf('\n', at);
  return feed < 0 ? text.length : feed;
}
