/** The first index from `low` to `length` for which `isBefore` is false; it must be true up to some index and false from there on. */
export function lowerBound(length: number, isBefore: (index: number) => boolean, low = 0): number {
  let first = low;
  let end = length;
  while (first < end) {
    const middle = (first + end) >> 1;
    if (isBefore(middle)) first = middle + 1;
    else end = middle;
  }
  return first;
}
