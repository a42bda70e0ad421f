import { Composer, type CST, type Document, Parser } from 'yaml';
import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import type { MendedText } from './mend-text.ts';
import type { SpanAt } from './text-positions.ts';
import { yamlCauses } from './yaml-causes.ts';
import type { YamlCause } from './yaml-lines.ts';

/** A policy needs seven levels. The bound keeps whatever recurses, the YAML library included, far from the stack's end. */
const MAX_DEPTH = 64;

/** Message and help of a mistake whose cause is not found, by the library's code. */
const WORDS: Readonly<Record<string, readonly [message: string, help: string]>> = {
  ALIAS_PROPS: ['an alias has neither anchor nor tag', 'text that begins with `*` needs quotes'],
  BAD_ALIAS: ['an alias without a name', 'text that begins with `*` needs quotes: `"*"`'],
  BAD_DQ_ESCAPE: [
    'an escape that YAML does not have',
    'write `\\\\` for a backslash, or put the text in single quotes',
  ],
  BAD_INDENT: [
    'the indentation does not match the lines above',
    'lines of one list or mapping begin at the same column',
  ],
  BAD_SCALAR_START: ['a text cannot begin with this character', 'put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second `key: value` on one line, or one with a different indentation',
    'put a value that has a colon in quotes, or begin it on its own line',
  ],
  BLOCK_IN_FLOW: ['a list or mapping of several lines inside brackets', 'close the bracket before it, or use commas'],
  KEY_OVER_1024_CHARS: [
    'a key of more than 1024 characters',
    'if the colon is part of the text, put the text in quotes',
  ],
  MISSING_CHAR: ['something is missing before this', 'is a comma, a colon, a bracket or a quote missing?'],
  MULTILINE_IMPLICIT_KEY: [
    'a key that spans several lines',
    'a key must be on one line: is a colon or a quote missing?',
  ],
  NON_STRING_KEY: ['a key that is not plain text', 'write the key as a word; other characters need quotes'],
  TAB_AS_INDENT: ['a tab in the indentation', 'use spaces instead'],
  UNEXPECTED_TOKEN: ['this does not belong here', 'is a comma missing, or does a text need quotes?'],
};

/** Message and help of a mistake that a policy is unlikely to have. */
const OTHER_WORDS = [
  'this is not well-formed YAML',
  'compare it with the lines around it and with a policy in config/examples',
] as const;

/** The nodes of a text, and its mistakes. */
export interface ParsedNodes {
  /** Undefined if a mistake leaves the structure unclear; a document without content is a document. */
  readonly document: Document.Parsed | undefined;
  /** Offsets, ascending, of mistakes that concern the next scalar alone. */
  readonly unclear: readonly number[];
  /** The causes of the mistakes that leave the document undefined; empty if unknown. */
  readonly causes: readonly YamlCause[];
  /** Whether the document lacks a part of the text. */
  readonly isPartial: boolean;
}

/** Reads the first YAML document of a text into nodes with positions, and reports every mistake of YAML. */
export function parseNodes({ text, spanAt }: MendedText, report: Report): ParsedNodes {
  const tokens = [...new Parser().parse(text)];
  const documents = tokens.filter((token) => token.type === 'document');
  const [first, second] = documents;
  if (second !== undefined) {
    report({
      code: 'several-documents',
      span: spanAt(second.offset, second.offset + 3),
      message: 'a second YAML document begins here',
      help: 'a policy file holds one document; put the other into its own file in `policy.d`',
    });
  }
  for (const token of tokens) if (token.type === 'directive') checkDirective(token, spanAt, report);
  const deep = first === undefined ? undefined : firstBelow(first, MAX_DEPTH);
  if (deep !== undefined) {
    report({
      code: 'too-deep',
      span: spanAt(deep.offset, deep.offset + 1),
      message: `more than ${MAX_DEPTH} levels of nesting`,
      help: 'a policy needs seven: is there an extra open bracket?',
    });
    // INVARIANT: only nesting within the bound reaches the composer, which recurses.
    return { document: undefined, unclear: [], causes: [], isPartial: true };
  }
  const composed = new Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // The library compares each key with all before it; the reader of values finds duplicates in one pass.
    uniqueKeys: false,
    prettyErrors: false,
  }).compose(withoutDirectives(tokens), true, text.length);
  const { value: document } = composed.next();
  for (const _ of composed) {
    // The composer adds errors after the document's end only as it runs on.
  }
  if (document === undefined) throw new Error('the YAML composer made no document');
  const causes = reportErrors(document.errors, { text, spanAt, report });
  // The library may report more than one error for such a mistake.
  const clear = new Set(
    document.errors.flatMap(({ code, pos }) => (OF_ITS_OWN.has(code) || code === 'TAG_RESOLVE_FAILED' ? [pos[0]] : [])),
  );
  const isClear = document.errors.every(({ pos }) => clear.has(pos[0]));
  const unclear = document.errors.map(({ code, pos }) => (code === 'TAG_RESOLVE_FAILED' ? pos[1] : pos[0]));
  for (const { code, pos } of document.warnings) {
    const span = spanAt(pos[0], Math.min(pos[1], text.length));
    // The library only warns of an unknown tag, and reads the value as if the tag were not there.
    if (code === 'TAG_RESOLVE_FAILED' || code === 'BAD_COLLECTION_TYPE') {
      unclear.push(pos[1]);
      report({
        code: 'yaml-tag',
        span,
        message: tagMessage(text, pos),
        help: text.startsWith('!!', pos[0]) ? TAG_HELP : `${TAG_HELP}; text that begins with \`!\` needs quotes`,
      });
    } else {
      report({
        code: 'yaml-warning',
        span,
        message: 'YAML readers disagree about this: an anchor ends or a key begins in an unusual way',
        help: 'put the text in quotes, or write a space before the colon',
      });
    }
  }
  return {
    document: isClear ? document : undefined,
    unclear: unclear.toSorted((a, b) => a - b),
    causes,
    isPartial: second !== undefined,
  };
}

/** Directives are either reported or redundant. */
function withoutDirectives(tokens: readonly CST.Token[]): CST.Token[] {
  return tokens.filter(({ type }) => type !== 'directive');
}

const TAG_HELP = 'leave the tag out';

interface ErrorContext {
  readonly text: string;
  readonly spanAt: SpanAt;
  readonly report: Report;
}

/** Reports and returns the likely causes of the library's errors; if none is found, reports the errors in this project's words. */
function reportErrors(errors: Document.Parsed['errors'], { text, spanAt, report }: ErrorContext): readonly YamlCause[] {
  const tags = errors.filter(({ code }) => code === 'TAG_RESOLVE_FAILED');
  for (const { pos } of tags) {
    report({
      code: 'yaml-tag',
      span: spanAt(pos[0], Math.min(pos[1], text.length)),
      message: tagMessage(text, pos),
      help: TAG_HELP,
    });
  }
  const others = errors.filter(({ code }) => code !== 'TAG_RESOLVE_FAILED');
  if (others.length === 0) return [];
  const causes = others.every(({ code }) => OF_ITS_OWN.has(code))
    ? []
    : yamlCauses(
        text,
        others.some(({ code }) => code === 'TAB_AS_INDENT'),
      );
  for (const { start, end, message, help, related } of causes) {
    const places =
      related === undefined ? [] : [{ span: spanAt(related.start, related.end), message: related.message }];
    report({ code: 'yaml-syntax', span: spanAt(start, end), message, help, related: places });
  }
  if (causes.length > 0) return causes;
  // One mistake causes many errors of the library, so only the first of each line is reported.
  const lines = new Set<number>();
  for (const { code, pos } of others) {
    const span = spanAt(pos[0], Math.min(pos[1], text.length));
    if (lines.has(span.line)) continue;
    lines.add(span.line);
    const [message, help] = WORDS[code] ?? OTHER_WORDS;
    report({ code: 'yaml-syntax', span, message, help });
  }
  return [];
}

/** Errors that name their cause exactly, and concern one scalar or key. */
const OF_ITS_OWN: ReadonlySet<string> = new Set([
  'BAD_ALIAS',
  'ALIAS_PROPS',
  'BAD_DQ_ESCAPE',
  'BAD_SCALAR_START',
  'NON_STRING_KEY',
]);

function tagMessage(text: string, pos: readonly [number, number]): string {
  return `the tag ${quote(text.slice(...pos))} has no meaning in a policy or does not match its value`;
}

function checkDirective({ source, offset }: CST.Directive, spanAt: SpanAt, report: Report): void {
  if (/^%YAML[ \t]+1\.2[ \t]*$/.test(source)) return;
  report({
    code: 'yaml-directive',
    span: spanAt(offset, offset + source.length),
    message: `the directive ${quote(source)} is not allowed in a policy`,
    help: 'a policy file is YAML 1.2 without custom tags: leave the line out',
  });
}

/** The first token nested deeper than `limit` collections. Walks with its own stack, whatever the depth. */
function firstBelow(document: CST.Document, limit: number): CST.Token | undefined {
  const pending: { token: CST.Token | null | undefined; depth: number }[] = [{ token: document.value, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { token, depth } = next;
    if (token === null || token === undefined || !('items' in token)) continue;
    if (depth === limit) return token;
    for (const { key, value } of token.items.toReversed()) {
      pending.push({ token: value, depth: depth + 1 }, { token: key, depth: depth + 1 });
    }
  }
  return undefined;
}
