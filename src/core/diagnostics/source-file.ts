/** A file's text as it was read, under the name its diagnostics use. */
export interface SourceFile {
  readonly file: string;
  readonly text: string;
}
