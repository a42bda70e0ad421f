/** A longer word is not a mistyped name. */
const MAX_WORD_LENGTH = 64;

/**
 * The candidate that `word` most likely misspells, if one is near enough: a third of its characters may be wrong. Case
 * matters only between equally near candidates; of those still equal the first by code point wins.
 */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD_LENGTH) return undefined;
  let best: { readonly candidate: string; readonly distance: number; readonly exact: number } | undefined;
  for (const candidate of candidates) {
    if (candidate === word || candidate.length > MAX_WORD_LENGTH) continue;
    const allowed = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3));
    const limit = best === undefined ? allowed : Math.min(allowed, best.distance);
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), limit);
    // A word that shares nothing with the candidate is no misspelling: `y` does not mean `x`.
    if (distance === undefined || distance >= Math.min(word.length, candidate.length)) continue;
    const exact = editDistance(word, candidate, MAX_WORD_LENGTH) ?? MAX_WORD_LENGTH;
    if (best === undefined || isNearer({ candidate, distance, exact }, best)) best = { candidate, distance, exact };
  }
  return best?.candidate;
}

interface Near {
  readonly candidate: string;
  readonly distance: number;
  readonly exact: number;
}

function isNearer(a: Near, b: Near): boolean {
  if (a.distance !== b.distance) return a.distance < b.distance;
  if (a.exact !== b.exact) return a.exact < b.exact;
  return a.candidate < b.candidate;
}

/** How many insertions, deletions, replacements and swaps of neighbours make `a` into `b`; undefined beyond `limit`. */
function editDistance(a: string, b: string, limit: number): number | undefined {
  if (Math.abs(a.length - b.length) > limit) return undefined;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
      least = Math.min(least, cost);
    }
    // A swap reaches back two rows, so one row beyond the limit is not yet the end.
    if (least > limit + 1) return undefined;
    beforeLast = last;
    last = row;
  }
  const distance = at(last, b.length);
  return distance > limit ? undefined : distance;
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
