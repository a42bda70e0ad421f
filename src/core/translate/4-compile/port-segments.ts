import type { PortRange, Rule } from '#core/model/policy/rule.ts';

/** Ports that the same rules match. */
export interface PortSegment {
  readonly range: PortRange;
  /** The rules that name these ports, in deciding order. */
  readonly rules: readonly Rule[];
}

/**
 * Cuts the ports into disjoint, ascending segments, each matched by the same of `rules`; ports that no rule names are in
 * no segment. `rules` are in deciding order, of one protocol, and all have ports.
 */
export function portSegments(rules: readonly Rule[]): PortSegment[] {
  const starting = new Map<number, number[]>();
  const ending = new Map<number, number[]>();
  const note = (at: Map<number, number[]>, port: number, index: number): void => {
    const indices = at.get(port);
    if (indices === undefined) at.set(port, [index]);
    else indices.push(index);
  };
  rules.forEach(({ traffic }, index) => {
    for (const { from, to } of traffic.kind === 'ports' ? traffic.ports : []) {
      note(starting, from, index);
      note(ending, to + 1, index);
    }
  });
  const cuts = [...new Set([...starting.keys(), ...ending.keys()])].toSorted((a, b) => a - b);
  const active = new Set<number>();
  const segments: PortSegment[] = [];
  cuts.forEach((from, i) => {
    for (const index of ending.get(from) ?? []) active.delete(index);
    for (const index of starting.get(from) ?? []) active.add(index);
    const next = cuts[i + 1];
    if (next === undefined || active.size === 0) return;
    const order = [...active].toSorted((a, b) => a - b);
    segments.push({ range: { from, to: next - 1 }, rules: order.flatMap((index) => rules[index] ?? []) });
  });
  return segments;
}

/** The total number of rules in the segments of `rules`, counted without making them. */
export function segmentedRuleCount(rules: readonly Rule[]): number {
  const changes = new Map<number, number>();
  const note = (port: number, change: number): void => void changes.set(port, (changes.get(port) ?? 0) + change);
  for (const { traffic } of rules) {
    for (const { from, to } of traffic.kind === 'ports' ? traffic.ports : []) {
      note(from, 1);
      note(to + 1, -1);
    }
  }
  let active = 0;
  let count = 0;
  for (const port of [...changes.keys()].toSorted((a, b) => a - b)) {
    active += changes.get(port) ?? 0;
    count += active;
  }
  return count;
}
