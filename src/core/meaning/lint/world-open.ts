import { gridOf, intervalOfRows } from '#core/meaning/headerspace/grid.ts';
import { visitBoxes } from '#core/meaning/headerspace/visit-boxes.ts';
import { type Family, highestAddress } from '#core/model/net/address.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import { formatRuleName, type Rule, type Traffic } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding, LintWitness } from './finding.ts';
import { type LintScope, ruleListAt, witnessAt } from './lint-scope.ts';

/** TCP ports for administration and databases. */
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

/** A rule that allows more than this fraction of a family's addresses (a /4) is open to everyone, even if written in pieces. */
const WORLD_FRACTION = 16n;

/** From this many ports on, a rule is not for a service. */
const MIN_BROAD_PORTS = 10_000;

interface Opening {
  readonly rule: Rule;
  readonly ports: Set<number>;
  readonly witness: LintWitness;
}

/** Requirement: administration and databases are reachable from few addresses, and a rule open to everyone names its traffic. */
export const worldOpen: LintCheck = ({ scopes, patience }) => {
  const openings = new Map<string, Opening>();
  for (const place of scopes) {
    if (place.direction !== 'inbound') continue;
    for (const { rule, port, witness } of openPorts(place, patience)) {
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
      message: `\`${formatRuleName(origin)}\` opens ${what} to everyone`,
      help: 'name the ports that everyone may reach, and allow the rest from few addresses or a group',
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
    message: `${name} opens tcp ${listed.join(', ')} to everyone`,
    help: 'allow only the addresses or the group that it is managed from, such as a bastion; your own address belongs in `platform.management`',
  };
}

function isMuch(traffic: Traffic): boolean {
  if (traffic.kind !== 'ports') return traffic.kind !== 'icmp';
  return traffic.ports.reduce((sum, { from, to }) => sum + to - from + 1, 0) >= MIN_BROAD_PORTS;
}

interface OpenPort {
  readonly rule: Rule;
  readonly port: number;
  readonly witness: () => LintWitness;
}

function* openPorts(place: LintScope, patience: Patience): Generator<OpenPort> {
  const { rules } = ruleListAt(place);
  const { family } = place;
  const ports = [...ADMIN_PORTS.keys()];
  const asked = ports.map((port) => ({ traffic: tcp(port), addresses: 'any' as const }));
  const grid = gridOf([...rules, ...asked], family, patience);
  const parts = new Map<string, Part>();
  const layers = [
    { areas: grid.areas.slice(0, rules.length), upTo: 1 },
    { areas: grid.areas.slice(rules.length), upTo: 'none' },
  ] as const;
  visitBoxes(
    { columns: grid.atoms.length, rows: grid.starts.length, layers, patience },
    {
      enter: () => true,
      leaf({ top, bottom }, [judges, about]) {
        const decider = rules[judges?.first() ?? -1]?.decision;
        if (decider?.action !== 'allow' || decider.rule === undefined || about === undefined) return;
        const { from, to } = intervalOfRows(grid, top, bottom);
        for (let member = 0; member < about.length; member += 1) {
          const at = about.id(member);
          const key = `${judges?.first() ?? -1} ${at}`;
          const part = parts.get(key) ?? { rule: decider.rule, at, count: 0n, from, to };
          const isFirst = from < part.from;
          parts.set(key, { ...part, count: part.count + to - from + 1n, ...(isFirst ? { from, to } : {}) });
        }
      },
    },
  );
  for (const { rule, at, count, from, to } of [...parts.values()].toSorted((a, b) => a.at - b.at)) {
    const port = ports[at] ?? 0;
    const one = { protocols: [{ from: TCP, to: TCP }], l4Values: { from: port, to: port } };
    if (isWorld(count, family)) yield { rule, port, witness: () => witnessAt(place, one, { family, from, to }) };
  }
}

/** What a rule lets in to a port: how many addresses, and the first of them. */
interface Part {
  readonly rule: Rule;
  /** The place of the port. */
  readonly at: number;
  readonly count: bigint;
  readonly from: bigint;
  readonly to: bigint;
}

function tcp(port: number): Traffic {
  return { kind: 'ports', protocol: TCP, ports: [{ from: port, to: port }] };
}

function isWorld(count: bigint, family: Family): boolean {
  return count * WORLD_FRACTION > highestAddress(family);
}
