import { type EdgeTraffic, type FamilyTraffic, isNothing } from '#core/meaning/reach/edge-traffic.ts';
import type { DeniedRemote, Endpoint, InterfaceGroup } from '#core/meaning/reach/endpoints.ts';
import type { Reachability } from '#core/meaning/reach/reachability.ts';
import type { Family } from '#core/model/net/address.ts';
import { formatInterval, type Interval } from '#core/model/net/interval.ts';
import { inPolicyWords } from '#core/model/policy/protocol-lookup.ts';
import { formatTraffic } from './format-traffic.ts';

/** A node of the picture. */
export interface GraphNode {
  readonly id: string;
  readonly kind: 'anyone' | 'outsider' | 'role';
  readonly title: string;
  /** A short description. */
  readonly about: string;
}

/** The connections that one node can open to another. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  /** Exceptions at the external end: addresses and groups that are denied some of it. */
  readonly but: readonly string[];
}

/** Nodes in order of their distance from the external ones, and edges. */
export interface Graph {
  readonly nodes: readonly (GraphNode & { readonly distance: number })[];
  readonly edges: readonly GraphEdge[];
}

/** The graph of a policy's reachability. */
export function graphOf({ groups, edges: reached }: Pick<Reachability, 'groups' | 'edges'>): Graph {
  const nodes = new Map<string, GraphNode>(
    groups.map((group, index) => [`r${index}`, { id: `r${index}`, kind: 'role', ...describeGroup(group) }]),
  );
  const outsiders = new Map<string, GraphNode>();
  const idOf = (end: Endpoint): string => {
    if (end.kind === 'interfaceGroup') return `r${end.group}`;
    const title = titleOf(end);
    const existing = outsiders.get(title);
    if (existing !== undefined) return existing.id;
    const id = end.kind === 'anyone' ? 'anyone' : `o${outsiders.size}`;
    const kind = end.kind === 'anyone' ? 'anyone' : 'outsider';
    outsiders.set(title, { id, kind, title, about: end.kind === 'addressGroup' ? 'address group' : '' });
    return id;
  };
  const edges = reached.map(({ from, to, traffic, except }) => ({
    from: idOf(from),
    to: idOf(to),
    label: labelOf(traffic),
    but: except.map(titleOf),
  }));
  const all = [...outsiders.values(), ...nodes.values()];
  const distances = distancesFrom(outsiders, edges);
  return {
    nodes: all
      .map((node) => ({ ...node, distance: distances.get(node.id) ?? 1 }))
      .toSorted((a, b) => a.distance - b.distance),
    edges,
  };
}

/** The number of connections from an external node to each node. */
function distancesFrom(
  outsiders: ReadonlyMap<string, GraphNode>,
  edges: readonly GraphEdge[],
): ReadonlyMap<string, number> {
  const distances = new Map<string, number>([...outsiders.values()].map(({ id }) => [id, 0]));
  let frontier = new Set(distances.keys());
  for (let distance = 1; frontier.size > 0; distance += 1) {
    const before = frontier;
    const reached = edges.filter(({ from, to }) => before.has(from) && !distances.has(to)).map(({ to }) => to);
    for (const id of reached) distances.set(id, distance);
    frontier = new Set(reached);
  }
  return distances;
}

function describeGroup({ groups, interfaces }: InterfaceGroup): Pick<GraphNode, 'title' | 'about'> {
  const shown = interfaces.slice(0, 3).map(({ instance, pattern }) => `${instance} ${pattern}`);
  const more = interfaces.length - shown.length;
  return {
    title: groups.join(' + ') || 'no groups',
    about: `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
  };
}

function titleOf(end: DeniedRemote | Exclude<Endpoint, { readonly kind: 'interfaceGroup' }>): string {
  switch (end.kind) {
    case 'anyone':
      return 'anyone';
    case 'addressGroup':
    case 'securityGroup':
      return end.name;
    case 'interval':
      return intervalText(end.interval);
  }
}

const intervalTexts = new WeakMap<Interval, string>();

/** As `formatInterval`, cached: of overlapping ranges, each end may have thousands. */
function intervalText(interval: Interval): string {
  const text = intervalTexts.get(interval) ?? formatInterval(interval);
  intervalTexts.set(interval, text);
  return text;
}

/** The exceptions of an edge: ` but banned, 192.0.2.7`; empty if there are none. */
export function butText(but: readonly string[]): string {
  if (but.length === 0) return '';
  const shown = but.slice(0, MAX_NAMED).join(', ');
  return ` but ${shown}${but.length > MAX_NAMED ? ` and ${but.length - MAX_NAMED} more` : ''}`;
}

const MAX_NAMED = 3;

/** The traffic of both families; once if both have the same. */
function labelOf({ ipv4, ipv6 }: FamilyTraffic): string {
  const [four, six] = [textOf(ipv4, 'ipv4'), textOf(ipv6, 'ipv6')];
  if (alike(four) === alike(six)) return four;
  if (six === '') return `${four} (IPv4)`;
  if (four === '') return `${six} (IPv6)`;
  return `IPv4: ${four}; IPv6: ${six}`;
}

/** Equal for the same traffic of both families, in any order. */
function alike(text: string): string {
  return inPolicyWords(text).split(', ').toSorted().join(', ');
}

function textOf(traffic: EdgeTraffic, family: Family): string {
  if (isNothing(traffic)) return '';
  return typeof traffic === 'object' && 'except' in traffic
    ? `all but ${formatTraffic(traffic.except, family)}`
    : formatTraffic(traffic, family);
}
