import { atomFinder, trafficAtoms } from '#core/meaning/headerspace/traffic-atoms.ts';
import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { AllowedTrafficCache } from './allowed-traffic-cache.ts';
import { type EdgeTraffic, type FamilyTraffic, isNothing, trafficBeyond } from './edge-traffic.ts';
import type { DeniedRemote, Endpoint, InterfaceGroup } from './endpoints.ts';
import { type EvaluatedGroup, evaluatedGroups } from './evaluated-group.ts';
import { externalEdges } from './external-edges.ts';

/** New connections allowed between two endpoints, excluding what is already allowed from or to anyone. */
export interface ReachabilityEdge {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly traffic: FamilyTraffic;
  /** Remotes among the external end that rules deny some of the traffic. */
  readonly except: readonly DeniedRemote[];
}

/** Which endpoints reach which. */
export interface Reachability {
  readonly groups: readonly InterfaceGroup[];
  readonly edges: readonly ReachabilityEdge[];
  /** Groups whose edges were not all found before patience ended. */
  readonly leftOut: readonly InterfaceGroup[];
}

/**
 * Finds which endpoints can reach which, with what traffic: from external endpoints to groups by the inbound rules,
 * from groups to external endpoints by the outbound rules, and between groups by both. Members whose addresses the
 * policy does not say are known by their groups alone.
 */
export function reachability(policy: Policy, hosts: readonly HostPolicy[], patience: Patience = ENDLESS): Reachability {
  const evaluated = evaluatedGroups(policy, hosts);
  const edges: ReachabilityEdge[] = [];
  const done = new Set<EvaluatedGroup>();
  try {
    const cache = new AllowedTrafficCache(patience);
    for (const [index, group] of evaluated.entries()) {
      edges.push(...edgesOf(index, evaluated, cache));
      done.add(group);
    }
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
  }
  return {
    groups: evaluated.map(({ group }) => group),
    edges: edges.filter(({ traffic }) => FAMILIES.some((family) => !isNothing(traffic[family]))),
    leftOut: evaluated.filter((group) => !done.has(group)).map(({ group }) => group),
  };
}

/** The edges to a group, and from it to external endpoints; those with anyone first. */
function edgesOf(
  index: number,
  groups: readonly EvaluatedGroup[],
  cache: AllowedTrafficCache,
): readonly ReachabilityEdge[] {
  const target = groups[index];
  if (target === undefined) return [];
  const self: Endpoint = { kind: 'interfaceGroup', group: index };
  return [
    ...externalEdges(target, 'inbound', cache).map(({ end, ...edge }) => ({ from: end, to: self, ...edge })),
    ...externalEdges(target, 'outbound', cache).map(({ end, ...edge }) => ({ from: self, to: end, ...edge })),
    ...groups.map((source, from) => ({
      from: { kind: 'interfaceGroup', group: from } as const,
      to: self,
      traffic: {
        ipv4: trafficBetween(source, target, { family: 'ipv4', cache }),
        ipv6: trafficBetween(source, target, { family: 'ipv6', cache }),
      },
      except: [],
    })),
  ].toSorted((a, b) => edgeOrder(a) - edgeOrder(b));
}

function edgeOrder({ from, to }: Pick<ReachabilityEdge, 'from' | 'to'>): number {
  return from.kind === 'anyone' || to.kind === 'anyone' ? 0 : 1;
}

interface FamilyContext {
  readonly family: Family;
  readonly cache: AllowedTrafficCache;
}

/** The traffic from one group to another that the rules of both allow, beyond what anyone may send there. */
function trafficBetween(source: EvaluatedGroup, target: EvaluatedGroup, { family, cache }: FamilyContext): EdgeTraffic {
  const into = { group: target, direction: 'inbound', family } as const;
  const out = { group: source, direction: 'outbound', family } as const;
  const inbound = cache.withGroup(into, source);
  const outbound = cache.withGroup(out, target);
  if (inbound === undefined || outbound === undefined) return [];
  const rules = [...target.rules.inbound, ...source.rules.outbound].filter((rule) => rule.family === family);
  const atoms = trafficAtoms(
    rules.map(({ traffic }) => traffic),
    family,
  );
  cache.patience.spend(atoms.length);
  const [columnInto, columnOut] = [atomFinder(cache.of(into).grid.atoms), atomFinder(cache.of(out).grid.atoms)];
  const withAnyone = cache.withAnyone(into);
  const columns = atoms.map((atom) => ({ into: columnInto(atom), out: columnOut(atom) }));
  return trafficBeyond(
    { atoms },
    Uint8Array.from(columns, (at) => (inbound[at.into] ?? 0) & (outbound[at.out] ?? 0)),
    Uint8Array.from(columns, (at) => withAnyone[at.into] ?? 0),
  );
}
