import type { Span } from '../model/span.ts';
import type { SourceFile } from './source-file.ts';

/** The span between two offsets into a file's text, counted in UTF-16 units; the end is exclusive. */
export type SpanAt = (start: number, end: number) => Span;

/**
 * Indexes a text once, so that a span costs two binary searches however long the lines are.
 * Columns count characters, not UTF-16 units: a surrogate pair is one.
 */
export function textPositions({ file, text }: SourceFile): SpanAt {
  const lineStarts = offsetsOf(text, /\n/g).map((offset) => offset + 1);
  lineStarts.unshift(0);
  const pairs = offsetsOf(text, /[\ud800-\udbff](?=[\udc00-\udfff])/g);
  const locate = (offset: number): { line: number; column: number } => {
    const line = countBelow(lineStarts, offset + 1);
    const start = lineStarts[line - 1] ?? 0;
    const pairsBefore = pairs.length === 0 ? 0 : countBelow(pairs, offset) - countBelow(pairs, start);
    return { line, column: offset - start - pairsBefore + 1 };
  };
  return (start, end) => {
    const from = locate(start);
    const to = locate(Math.max(start, end));
    return { file, line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
  };
}

function offsetsOf(text: string, pattern: RegExp): number[] {
  return Array.from(text.matchAll(pattern), (match) => match.index);
}

/** How many of the ascending `offsets` are less than `offset`. */
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
