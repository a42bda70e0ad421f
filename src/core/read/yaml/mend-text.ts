import type { SpanAt } from './text-positions.ts';

/** Replaces the characters from `start` to `end` by `insert`. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly insert: string;
}

/** A text whose mistakes are mended so that others are found too; it is never enforced. */
export interface MendedText {
  readonly text: string;
  /** The span, in the text as written, between two offsets into the mended one. */
  readonly spanAt: SpanAt;
}

/** Applies edits in the order of their places; one that overlaps the edit before it is dropped. */
export function mendText({ text, spanAt }: MendedText, edits: readonly TextEdit[]): MendedText {
  const parts: string[] = [];
  const kept: (TextEdit & { readonly at: number })[] = [];
  let done = 0;
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    if (edit.start < done) continue;
    parts.push(text.slice(done, edit.start), edit.insert);
    at += edit.start - done;
    kept.push({ ...edit, at });
    at += edit.insert.length;
    done = edit.end;
  }
  parts.push(text.slice(done));
  const written = (offset: number): number => {
    const edit = kept[lastAt(kept, offset)];
    if (edit === undefined) return offset;
    const behind = offset - edit.at - edit.insert.length;
    return behind >= 0 ? edit.end + behind : Math.min(edit.end, edit.start + offset - edit.at);
  };
  return { text: parts.join(''), spanAt: (start, end) => spanAt(written(start), written(end)) };
}

/** The index of the last edit at or before an offset; -1 for none. */
function lastAt(edits: readonly { readonly at: number }[], offset: number): number {
  let low = 0;
  let high = edits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((edits[middle]?.at ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
