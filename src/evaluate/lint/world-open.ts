import { type Family, highestAddress } from '../../model/address.ts';
import { formatRuleName, type Rule, type Traffic } from '../../model/rule.ts';
import { deciderAt, judging, lineOf } from '../sides.ts';
import { classMatches, trafficClasses } from '../traffic-classes.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding, LintWitness } from './finding.ts';
import { type Place, sideAt, witnessAt } from './place.ts';

/** TCP ports by which hosts and databases are run. */
const ADMIN_PORTS: ReadonlyMap<number, string> = new Map([
  [22, 'ssh'],
  [23, 'telnet'],
  [135, 'Windows RPC'],
  [445, 'SMB'],
  [1433, 'SQL Server'],
  [1521, 'Oracle'],
  [2375, 'Docker'],
  [2379, 'etcd'],
  [3306, 'MySQL'],
  [3389, 'remote desktop'],
  [5432, 'PostgreSQL'],
  [5900, 'VNC'],
  [5984, 'CouchDB'],
  [5985, 'WinRM'],
  [6379, 'Redis'],
  [6443, 'Kubernetes'],
  [8848, 'Nacos'],
  [9042, 'Cassandra'],
  [9200, 'Elasticsearch'],
  [10250, 'kubelet'],
  [11211, 'memcached'],
  [27017, 'MongoDB'],
]);

/** A rule that lets in this part of a family's addresses, as a /4 is, lets in the world: it may be written in pieces. */
const WORLD_PART = 16n;

/** So many ports are not a service. */
const MANY_PORTS = 10_000;

interface Opening {
  readonly rule: Rule;
  readonly ports: Set<number>;
  readonly witness: LintWitness;
}

/** Requirement: administration and databases are reached from few addresses; and who lets the world in says to what. */
export const worldOpen: LintCheck = ({ places }) => {
  const openings = new Map<string, Opening>();
  for (const place of places) {
    if (place.direction !== 'inbound') continue;
    for (const { rule, port, witness } of openPorts(place)) {
      const { span, template } = rule.origin;
      if (template === 'Sys-FullAccess') continue;
      const key = `${span.file}:${span.line}:${span.column}`;
      const opening = openings.get(key) ?? { rule, ports: new Set<number>(), witness: witness() };
      openings.set(key, opening);
      opening.ports.add(port);
    }
  }
  return [...openings.values()].map(findingOf);
};

function findingOf({ rule, ports, witness }: Opening): LintFinding {
  const { origin } = rule;
  const common = { span: origin.span, subject: { kind: 'rule', origin } as const, related: [], witness };
  if (isMuch(rule.traffic)) {
    const what = rule.traffic.kind === 'all' ? 'everything' : 'nearly every port';
    return {
      ...common,
      code: 'all-traffic',
      message: `\`${formatRuleName(origin)}\` lets the world in to ${what}`,
      help: 'name the ports that the world is to reach, and let in the rest from few addresses or a group',
    };
  }
  const listed = [...ports].toSorted((a, b) => a - b).map((port) => `${port} (${ADMIN_PORTS.get(port) ?? ''})`);
  const name =
    origin.template === undefined
      ? `\`${formatRuleName(origin)}\``
      : `the template \`${origin.template}\` of \`${origin.group ?? ''}\``;
  return {
    ...common,
    code: 'world-open',
    message: `${name} lets the world in to tcp ${listed.join(', ')}`,
    help: 'let in the addresses or the group it is managed from, such as a bastion; your own address belongs into `platform.management`',
  };
}

function isMuch(traffic: Traffic): boolean {
  if (traffic.kind !== 'ports') return traffic.kind !== 'icmp';
  return traffic.ports.reduce((sum, { from, to }) => sum + to - from + 1, 0) >= MANY_PORTS;
}

interface OpenPort {
  readonly rule: Rule;
  readonly port: number;
  readonly witness: () => LintWitness;
}

function* openPorts(place: Place): Generator<OpenPort> {
  const side = sideAt(place);
  const { family } = place;
  const asked = [...ADMIN_PORTS.keys()].map((port) => ({ port, traffic: tcp(port) }));
  const traffics = [...side.candidates, ...asked].map(({ traffic }) => traffic);
  const classes = trafficClasses(traffics, family);
  for (const { port, traffic } of asked) {
    const one = classes.find((some) => classMatches(traffic, some));
    if (one === undefined) continue;
    const judges = judging(side, one);
    const parts = new Map<Rule, Part>();
    for (const { from, to, decider } of lineOf(judges, family)) {
      const { action, rule } = deciderAt(judges, decider);
      if (action === 'deny' || rule === undefined) continue;
      const part = parts.get(rule) ?? { count: 0n, from, to };
      parts.set(rule, { ...part, count: part.count + to - from + 1n });
    }
    for (const [rule, { count, from, to }] of parts) {
      if (isWorld(count, family)) yield { rule, port, witness: () => witnessAt(place, one, { family, from, to }) };
    }
  }
}

/** How many addresses, and the first of them. */
interface Part {
  readonly count: bigint;
  readonly from: bigint;
  readonly to: bigint;
}

function tcp(port: number): Traffic {
  return { kind: 'ports', protocol: 6, ports: [{ from: port, to: port }] };
}

function isWorld(count: bigint, family: Family): boolean {
  return count * WORLD_PART > highestAddress(family);
}
