import type { PortRange } from '#core/model/policy/rule.ts';
import { portHint } from './port-hint.ts';

/** Ports as a policy may write them: `22`, `"22,80,8000-8999"`, or a list of either. */
export type PortsInput = number | string | readonly (number | string)[];

/** A problem of a port text; `index` is its place in the list, if there is a list. */
export interface PortProblem {
  readonly index: number | undefined;
  readonly message: string;
  readonly help: string | undefined;
}

/** Reads ports into disjoint, ascending ranges; overlapping and adjacent ones become one. Reports every problem. */
export function parsePorts(input: PortsInput): {
  readonly ports: readonly PortRange[];
  readonly problems: readonly PortProblem[];
} {
  const problems: PortProblem[] = [];
  const ranges: PortRange[] = [];
  const readOne = (item: number | string, index: number | undefined): void => {
    for (const part of String(item).split(',')) {
      const range = parseRange(part.trim());
      if ('message' in range) problems.push({ index, ...range });
      else ranges.push(range);
    }
  };
  if (typeof input === 'number' || typeof input === 'string') readOne(input, undefined);
  else input.forEach((item, index) => readOne(item, index));
  if (ranges.length === 0 && problems.length === 0) {
    problems.push({
      index: undefined,
      message: 'the list of ports is empty',
      help: 'leave `ports` out to mean all ports',
    });
  }
  return { ports: mergePorts(ranges), problems };
}

function parseRange(text: string): PortRange | { readonly message: string; readonly help: string | undefined } {
  const match = /^([0-9]+)(?:\s*-\s*([0-9]+))?$/.exec(text);
  if (match === null) {
    return {
      message: `\`${text}\` is not a port`,
      help: portHint(text),
    };
  }
  const from = Number(match[1]);
  const to = match[2] === undefined ? from : Number(match[2]);
  if (from === 0 && to === 65535)
    return { message: 'port `0` is out of range', help: 'leave `ports` out to mean all ports, or write `1-65535`' };
  for (const port of [from, to]) {
    if (port < 1 || port > 65535) return { message: `port \`${port}\` is out of range`, help: 'ports are 1 to 65535' };
  }
  if (from > to) return { message: `\`${text}\` runs from high to low`, help: `write \`${to}-${from}\`` };
  return { from, to };
}

/** The same ports as disjoint, ascending ranges, with adjacent ones joined. */
function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const next of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && next.from <= last.to + 1)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, next.to) };
    else merged.push(next);
  }
  return merged;
}
