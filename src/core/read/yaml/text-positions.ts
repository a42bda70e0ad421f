import type { SourceFile } from '#core/diagnostics/source-file.ts';
import type { Span } from '#core/model/policy/span.ts';

/** The span between two offsets into a file's text, in UTF-16 units; the end is exclusive. */
export type SpanAt = (start: number, end: number) => Span;

/** The empty span at the beginning of a file. */
export function fileStart(file: string): Span {
  return { file, line: 1, column: 1, endLine: 1, endColumn: 1 };
}

interface TextIndex {
  /** The offsets at which lines begin. */
  readonly lines: readonly number[];
  /** The offsets of surrogate pairs. */
  readonly pairs: readonly number[];
}

/**
 * Indexes a text on first use, so that a span costs two binary searches, however long the lines are. Columns count
 * characters, not UTF-16 units: a surrogate pair is one.
 */
export function textPositions({ file, text }: SourceFile): SpanAt {
  let index: TextIndex | undefined;
  const locate = (offset: number): { line: number; column: number } => {
    const { lines, pairs } = (index ??= indexOf(text));
    const line = countBelow(lines, offset + 1);
    const start = lines[line - 1] ?? 0;
    const pairsBefore = pairs.length === 0 ? 0 : countBelow(pairs, offset) - countBelow(pairs, start);
    return { line, column: offset - start - pairsBefore + 1 };
  };
  return (start, end) => {
    const from = locate(start);
    const to = locate(Math.max(start, end));
    return { file, line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
  };
}

function indexOf(text: string): TextIndex {
  const lines = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.push(at + 1);
  const pairs = Array.from(text.matchAll(/[\ud800-\udbff](?=[\udc00-\udfff])/g), ({ index }) => index);
  return { lines, pairs };
}

/** The number of the ascending `offsets` below `offset`. */
function countBelow(offsets: readonly number[], offset: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
