/**
 * The first index from `begin` up to `end` for which `isReached` holds, or `end`. It must hold for every index behind one
 * for which it holds; the search halves.
 */
export function firstIndex(begin: number, end: number, isReached: (index: number) => boolean): number {
  let [low, high] = [begin, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isReached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
