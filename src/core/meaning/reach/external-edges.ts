import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import type { AllowedTrafficCache } from './allowed-traffic-cache.ts';
import { type EdgeTraffic, type FamilyTraffic, isNothing, trafficBeyond, wholeTraffic } from './edge-traffic.ts';
import { ANYONE, type DeniedRemote, type ExternalEndpoint } from './endpoints.ts';
import { deniedRemotesOf, type EvaluatedGroup, externalEndpointsOf } from './evaluated-group.ts';
import { addressesOfRemote, allowedWith, allowsMore, exceptionsOf, isPartOf, packColumns } from './exceptions.ts';

/** The traffic between a group and an external endpoint. */
export interface ExternalEdge {
  readonly end: ExternalEndpoint;
  readonly traffic: FamilyTraffic;
  readonly except: readonly DeniedRemote[];
}

/** The traffic of a group with anyone, and with the external endpoints that its rules name, beyond that with anyone. */
export function externalEdges(
  group: EvaluatedGroup,
  direction: Direction,
  cache: AllowedTrafficCache,
): readonly ExternalEdge[] {
  const denied = deniedRemotesOf(group, direction);
  const edges = [ANYONE, ...externalEndpointsOf(group, direction)].map((end) => ({
    end,
    traffic: { ipv4: [], ipv6: [] } as Record<Family, EdgeTraffic>,
    /** For each family, the indices of the denied remotes, ascending. */
    exceptions: [] as (readonly number[])[],
  }));
  for (const family of FAMILIES) {
    const rules = { group, direction, family };
    const allowed = cache.of(rules);
    const withAnyone = cache.withAnyone(rules);
    const exceptions = exceptionsOf(denied, rules, cache);
    const ends = edges.map(({ end }) => end);
    for (const [index, columns] of allowedWith(ends, rules, allowed)) {
      const edge = edges[index];
      if (edge === undefined) continue;
      const { end } = edge;
      const traffic =
        end.kind === 'anyone' ? wholeTraffic(allowed.grid, columns) : trafficBeyond(allowed.grid, columns, withAnyone);
      edge.traffic[family] = traffic;
      if (isNothing(traffic)) continue;
      cache.patience.spend(exceptions.length / 10);
      const rows = end.kind === 'anyone' ? undefined : allowed.rowsOf(addressesOfRemote(end, rules));
      const packed = packColumns(columns);
      const relevant: number[] = [];
      for (const exception of exceptions)
        if (isPartOf(exception.rows, rows) && allowsMore(packed, exception.allowed)) relevant.push(exception.denied);
      edge.exceptions.push(relevant);
    }
  }
  return edges.map(({ end, traffic, exceptions: [first = [], second = []] }) => ({
    end,
    traffic,
    except: mergeAscending(first, second).flatMap((index) => denied[index] ?? []),
  }));
}

function mergeAscending(a: readonly number[], b: readonly number[]): readonly number[] {
  if (a.length * b.length === 0) return a.concat(b);
  return [...new Set([...a, ...b])].toSorted((x, y) => x - y);
}
