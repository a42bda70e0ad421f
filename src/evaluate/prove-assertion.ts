import type { HostPolicy } from '../model/host.ts';
import type { Interval } from '../model/interval.ts';
import type { Packet } from '../model/packet.ts';
import type { Assertion } from '../model/policy.ts';
import type { Rule } from '../model/rule.ts';
import { addressLine, type Addresses, overlay } from './address-line.ts';
import { addressesOf, type Decider, deciderAt, judging, lineOf, type Side, sideOf } from './sides.ts';
import { classMatches, type TrafficClass, trafficClasses } from './traffic-classes.ts';
import { placeOn, witnessOf } from './witness.ts';

/** A packet of a new flow of which a policy says the opposite of what is asserted. */
export interface Violation {
  /** The interface, or the glob of them, that judges it. */
  readonly interface: string;
  readonly decider: Decider;
  readonly witness: Packet;
}

/**
 * The first packet for which `assertion` is not true of the interfaces that `policy` names, or undefined: then it is
 * true of all of them. Rules are judged, of groups and of management; built-in traffic passes whatever is asserted.
 */
export function findViolation(policy: HostPolicy, { expected, traffic, except }: Assertion): Violation | undefined {
  for (const { pattern } of policy.bindings) {
    if (pattern === 'lo') continue;
    for (const rule of traffic) {
      const { family, origin } = rule;
      const side = sideOf(policy, pattern, { direction: origin.direction, family });
      const about = [...except, rule.remote].map((remote) => addressesOf(remote, family, policy));
      const found = violationOf(side, { rule, expected, about });
      if (found === undefined) continue;
      const { interval, one, decider } = found;
      const place = placeOn(pattern, policy, family);
      const difference = { direction: origin.direction, family, traffic: [one], remotes: [interval] };
      return { interface: pattern, decider, witness: witnessOf(difference, place) };
    }
  }
  return undefined;
}

interface Asserted {
  readonly rule: Rule;
  readonly expected: Assertion['expected'];
  /** Whom it is about, behind those of them that it says nothing of. */
  readonly about: readonly Addresses[];
}

interface Found {
  readonly interval: Interval;
  readonly one: TrafficClass;
  readonly decider: Decider;
}

function violationOf(side: Side, { rule, expected, about }: Asserted): Found | undefined {
  const { family, traffic } = rule;
  const region = addressLine(about, family);
  const classes = trafficClasses([...side.candidates.map((candidate) => candidate.traffic), traffic], family);
  for (const one of classes) {
    if (!classMatches(traffic, one)) continue;
    const judges = judging(side, one);
    for (const stretch of overlay(region, lineOf(judges, family))) {
      if (stretch.one !== about.length - 1) continue;
      const decider = deciderAt(judges, stretch.other);
      if (decider.action === expected) continue;
      return { interval: { family, from: stretch.from, to: stretch.to }, one, decider };
    }
  }
  return undefined;
}
