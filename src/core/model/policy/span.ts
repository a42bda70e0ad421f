/** A stretch of a file: `file` as the user named it; lines and columns count from 1, in characters; the end is exclusive. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}
