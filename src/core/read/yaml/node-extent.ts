import { isMap, isScalar, isSeq, type Node } from 'yaml';

/** The offsets at which a node's own text begins and ends, without trailing comments and line breaks. */
export function nodeExtent(node: Node): [start: number, end: number] {
  const [start, valueEnd] = node.range ?? [0, 0];
  return [start, Math.max(start, contentEnd(node) ?? valueEnd)];
}

/** A block collection's range reaches to the next token; its text ends where its last item's does. */
function contentEnd(node: Node): number | undefined {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    const value = last?.value as Node | null | undefined;
    if (value !== null && value !== undefined) {
      const [start, end] = nodeExtent(value);
      if (end > start) return end;
    }
    return last === undefined ? undefined : nodeExtent(last.key as Node)[1];
  }
  if (isSeq(node) && node.flow !== true) {
    const last = node.items.at(-1) as Node | null | undefined;
    return last === null || last === undefined ? undefined : nodeExtent(last)[1];
  }
  if (isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED')) {
    return (node.range?.[1] ?? 1) - 1;
  }
  return undefined;
}
