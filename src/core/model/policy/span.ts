/** A stretch of a file: `file` as the user named it; lines and columns count from 1, in characters; the end is exclusive. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** The order in which people read one file: by line, then by column. */
export function comparePlaces(a: Pick<Span, 'line' | 'column'>, b: Pick<Span, 'line' | 'column'>): number {
  return a.line - b.line || a.column - b.column;
}

/** The order in which people read files sorted by name. */
export function compareSpans(a: Span, b: Span): number {
  return a.file === b.file ? comparePlaces(a, b) : a.file < b.file ? -1 : 1;
}
