import { Composer, type CST, type Document, Parser } from 'yaml';
import { quote } from '../diagnostics/quote.ts';
import type { Report } from '../diagnostics/report.ts';
import type { SpanAt } from './text-positions.ts';

/** A policy needs seven levels. The bound keeps whatever recurses, the YAML library included, far from the stack's end. */
const DEEPEST = 64;

/** What to do about the mistakes whose message does not say it. */
const HELP: Readonly<Record<string, string>> = {
  BAD_INDENT: 'lines of one list or mapping begin at the same column',
  BAD_SCALAR_START: 'put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'put the value in quotes, or begin it on a line of its own',
  TAB_AS_INDENT: 'indent with spaces',
};

/**
 * Reads the one YAML document of a text into nodes with positions. Reports every mistake of YAML, and returns
 * undefined if there is one; a document without content is a document.
 */
export function parseYaml(text: string, spanAt: SpanAt, report: Report): Document.Parsed | undefined {
  const tokens = [...new Parser().parse(text)];
  const documents = tokens.filter((token) => token.type === 'document');
  const [first, second] = documents;
  let sound = true;
  const fail: Report = (finding) => {
    sound = false;
    report(finding);
  };
  if (second !== undefined) {
    fail({
      code: 'several-documents',
      span: spanAt(second.offset, second.offset + 3),
      message: 'a second YAML document begins here',
      help: 'a policy file holds one document; put the other into a file of its own in `policy.d`',
    });
  }
  for (const token of tokens) if (token.type === 'directive') checkDirective(token, spanAt, fail);
  const deep = first === undefined ? undefined : firstBelow(first, DEEPEST);
  if (deep !== undefined) {
    fail({
      code: 'too-deep',
      span: spanAt(deep.offset, deep.offset + 1),
      message: `more than ${DEEPEST} levels of nesting`,
    });
  }
  // INVARIANT: only nesting within the bound reaches the composer, which recurses.
  if (!sound) return undefined;
  const composed = new Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // The library compares each key with all before it; the reader of values finds duplicates in one pass.
    uniqueKeys: false,
    prettyErrors: false,
  }).compose(tokens, true, text.length);
  const { value: document } = composed.next();
  for (const _ of composed) {
    // The composer adds errors after the document's end only as it runs on.
  }
  if (document === undefined) throw new Error('the YAML composer made no document');
  for (const { code, message, pos } of document.errors) {
    fail({
      code: code === 'TAG_RESOLVE_FAILED' ? 'yaml-tag' : 'yaml-syntax',
      span: spanAt(pos[0], Math.min(pos[1], text.length)),
      message:
        code === 'TAG_RESOLVE_FAILED'
          ? tagMessage(text, pos)
          : code === 'NON_STRING_KEY'
            ? 'a key that is not plain text'
            : sentence(message),
      help: HELP[code],
    });
  }
  for (const { code, message, pos } of document.warnings) {
    const span = spanAt(pos[0], Math.min(pos[1], text.length));
    // An unknown tag is but a warning to the library, which then reads the value as if the tag were not there.
    if (code === 'TAG_RESOLVE_FAILED' || code === 'BAD_COLLECTION_TYPE') {
      fail({ code: 'yaml-tag', span, message: tagMessage(text, pos), help: 'leave the tag out' });
    } else {
      report({ code: 'yaml-warning', span, message: sentence(message), help: HELP[code] });
    }
  }
  return sound ? document : undefined;
}

function tagMessage(text: string, pos: readonly [number, number]): string {
  return `the tag ${quote(text.slice(...pos))} has no meaning in a policy, or does not fit its value`;
}

function checkDirective({ source, offset }: CST.Directive, spanAt: SpanAt, report: Report): void {
  if (/^%YAML[ \t]+1\.2[ \t]*$/.test(source)) return;
  report({
    code: 'yaml-directive',
    span: spanAt(offset, offset + source.length),
    message: `the directive ${quote(source)} has no place in a policy`,
    help: 'policy files are YAML 1.2 without tags of their own; leave the line out',
  });
}

/** The first token nested deeper than `limit` collections. Walks with a stack of its own, whatever the depth. */
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

/** A message of the library in the style of all others. */
function sentence(message: string): string {
  const text = message.replace(/\.$/, '');
  return /^[A-Z][a-z]/.test(text) ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text;
}
