import type { ParameterRow } from './row.ts';

/** The interfaces that the rows speak of; a world for them has them all. */
export const ROW_INTERFACES = ['eth0', 'eth1', 'eth2', 'eth0.100', 'ens5', 'ens51'] as const;

const PORTS = [22, 53, 80, 123, 443];

/** A policy that attaches groups, each of which allows one TCP port both ways, to interfaces and globs. */
function onInterfaces(attached: Readonly<Record<string, readonly string[]>>, more = ''): string {
  const rule = (port: number, remote: string): string => `{ protocol: tcp, ports: ${port}, ${remote}: any }`;
  const interfaces = Object.entries(attached).map(
    ([pattern, names]) => `\n      "${pattern}": { securityGroups: [${names.join(', ')}] }`,
  );
  return `version: 1
${more}
securityGroups:${PORTS.map(
    (port) => `\n  port-${port}: { inbound: [${rule(port, 'source')}], outbound: [${rule(port, 'destination')}] }`,
  ).join('')}
instances:
  host:
    interfaces:${interfaces.join('')}
`;
}

const on = (traffic: string, ...names: readonly string[]): string[] => names.map((name) => `${traffic} on ${name}`);

/** Which interface is judged by what, management, and packets that conntrack calls invalid. */
export const INTERFACE_ROWS: readonly ParameterRow[] = [
  {
    parameter: 'interface: exact names',
    policy: onInterfaces({ eth0: ['port-22'], eth1: ['port-80'], ens5: ['port-22', 'port-443'] }),
    through: [...on('tcp 22', 'eth0', 'ens5'), ...on('tcp 80', 'eth1'), ...on('tcp 443', 'ens5')],
    not: [...on('tcp 22', 'eth1'), ...on('tcp 80', 'eth0', 'ens5'), ...on('tcp 443', 'eth0', 'eth1')],
  },
  {
    parameter: 'interface: more exact names than are compared one by one',
    policy: onInterfaces(
      { eth0: ['port-22'], eth1: ['port-80'], eth2: ['port-53'], 'eth0.100': ['port-22'], ens5: ['port-443'] },
      'unmanagedInterfaces: deny',
    ),
    through: [
      ...on('tcp 22', 'eth0', 'eth0.100'),
      ...on('tcp 80', 'eth1'),
      ...on('tcp 53', 'eth2'),
      ...on('tcp 443', 'ens5'),
    ],
    not: [
      ...on('tcp 22', 'eth1', 'eth2', 'ens5', 'ens51'),
      ...on('tcp 80', 'eth0', 'eth2', 'eth0.100', 'ens5', 'ens51'),
      ...on('tcp 443', 'eth0', 'eth0.100', 'ens51'),
    ],
  },
  {
    parameter: 'interface: many exact names and globs behind them',
    policy: onInterfaces({
      ...{ eth0: ['port-22'], eth1: ['port-80'], eth2: ['port-53'], ens5: ['port-443'] },
      ...{ 'ens*': ['port-123'], '*': ['port-22', 'port-80'] },
    }),
    through: [...on('tcp 443', 'ens5'), ...on('tcp 123', 'ens51'), ...on('tcp 22', 'eth0', 'eth0.100')],
    not: [...on('tcp 123', 'ens5', 'eth0.100'), ...on('tcp 22', 'ens5', 'ens51', 'eth1'), ...on('tcp 443', 'ens51')],
  },
  {
    parameter: 'interface: a glob',
    policy: onInterfaces({ 'ens*': ['port-22'] }, 'unmanagedInterfaces: deny'),
    through: on('tcp 22', 'ens5', 'ens51'),
    not: [...on('tcp 22', 'eth0', 'eth1'), ...on('tcp 23', 'ens5', 'ens51')],
  },
  {
    parameter: 'interface: the most specific glob, and an exact name before it',
    policy: onInterfaces({ '*': ['port-123'], 'ens*': ['port-53'], 'ens5*': ['port-80'], ens5: ['port-22'] }),
    through: [...on('tcp 22', 'ens5'), ...on('tcp 80', 'ens51'), ...on('tcp 123', 'eth0', 'eth1')],
    not: [...on('tcp 80', 'ens5', 'eth0'), ...on('tcp 53', 'ens5', 'ens51'), ...on('tcp 123', 'ens5', 'ens51')],
  },
  {
    parameter: 'interface: globs for all of them',
    policy: onInterfaces({ '*': ['port-123'] }),
    through: on('tcp 123', ...ROW_INTERFACES),
    not: on('tcp 22', ...ROW_INTERFACES),
  },
  {
    parameter: 'interface: without groups it denies',
    policy: onInterfaces({ eth0: ['port-22'], eth1: [] }),
    through: on('tcp 22', 'eth0'),
    not: [...on('all', 'eth1'), ...on('tcp 22', 'eth1'), ...on('tcp 80', 'eth0')],
  },
  {
    parameter: 'unmanagedInterfaces: allow',
    policy: onInterfaces({ eth0: ['port-22'] }, 'unmanagedInterfaces: allow'),
    through: [...on('all', 'eth1', 'ens5'), 'tcp 80 on eth1 flags none', 'tcp 22'],
    not: ['all', 'tcp 80'],
  },
  {
    parameter: 'unmanagedInterfaces: absent is allow',
    policy: onInterfaces({ eth0: ['port-22'] }),
    through: [...on('all', 'eth1', 'ens5'), 'tcp 22'],
    not: ['all', 'tcp 80'],
  },
  {
    parameter: 'unmanagedInterfaces: deny',
    policy: onInterfaces({ eth0: ['port-22'] }, 'unmanagedInterfaces: deny'),
    through: ['tcp 22', 'inbound icmpv6 135 with fe80::2 at fe80::1 on eth1 hop 255'],
    not: [...on('all', 'eth1', 'ens5'), ...on('tcp 22', 'eth1', 'ens5'), 'tcp 80'],
  },
  {
    parameter: 'management: an allow beats a deny of a group',
    policy: managed(
      ['{ protocol: tcp, ports: 22, source: 192.0.2.10/32, priority: 100 }'],
      ['{ source: any, action: deny }', '{ protocol: tcp, ports: 23, source: any, priority: 2 }'],
    ),
    through: ['inbound tcp 22 with 192.0.2.10'],
    not: ['inbound tcp 22 with 192.0.2.11', 'inbound tcp 23 with 192.0.2.10', 'outbound tcp 22 with 192.0.2.10'],
  },
  {
    parameter: 'management: a deny beats an allow of a group',
    policy: managed(['{ protocol: tcp, ports: 23, source: any, action: deny, priority: 100 }'], ['{ source: any }']),
    through: ['inbound tcp 22', 'inbound tcp 24', 'inbound udp 23'],
    not: ['inbound tcp 23'],
  },
  {
    parameter: 'management: outbound',
    policy: managed(['{ protocol: tcp, ports: 514, destination: 192.0.2.10-192.0.2.11 }'], ['{ source: any }']),
    through: ['outbound tcp 514 with 192.0.2.10', 'outbound tcp 514 with 192.0.2.11', 'inbound tcp 514'],
    not: ['outbound tcp 514 with 192.0.2.12', 'outbound tcp 513 with 192.0.2.10'],
  },
  {
    parameter: 'management: in the order of priorities, deny first',
    policy: managed(
      [
        '{ protocol: tcp, ports: "22,23", source: any, priority: 2 }',
        '{ protocol: tcp, ports: 22, source: 192.0.2.0/24, action: deny, priority: 2 }',
        '{ protocol: tcp, ports: 22, source: 192.0.2.10, priority: 1 }',
      ],
      ['{ protocol: tcp, ports: 80, source: any }'],
    ),
    through: ['inbound tcp 22 with 192.0.2.10', 'inbound tcp 22', 'inbound tcp 23 with 192.0.2.11', 'inbound tcp 80'],
    not: ['inbound tcp 22 with 192.0.2.11', 'inbound tcp 81'],
  },
  {
    parameter: 'management: on every interface that is judged',
    policy: onInterfaces(
      { eth0: ['port-80'], eth1: [] },
      'platform: { management: [{ protocol: tcp, ports: 22, source: any }] }\nunmanagedInterfaces: deny',
    ),
    through: on('inbound tcp 22', 'eth0', 'eth1', 'eth2'),
    not: [...on('outbound tcp 22', 'eth0', 'eth1', 'eth2'), ...on('inbound tcp 23', 'eth0', 'eth1', 'eth2')],
  },
  {
    parameter: 'invalid: drop',
    policy: invalid('invalid: drop'),
    through: ['tcp 22', 'icmp 8', 'icmpv6 128'],
    not: ['tcp 22 flags none', 'tcp 22 flags syn-ack', 'icmp 0', 'icmp 3/4', 'icmpv6 129', 'icmpv6 2'],
  },
  {
    parameter: 'invalid: absent is drop',
    policy: invalid(''),
    through: ['tcp 22', 'icmp 8'],
    not: ['tcp 22 flags none', 'tcp 22 flags syn-ack', 'icmp 0'],
  },
  {
    parameter: 'invalid: match',
    policy: invalid('invalid: match'),
    through: ['tcp 22', 'tcp 22 flags none', 'tcp 22 flags syn-ack', 'icmp 0', 'icmp 3/4', 'icmpv6 129', 'icmpv6 2'],
    not: ['tcp 23 flags none', 'tcp 23 flags syn-ack', 'tcp 22 on eth1 flags none'],
  },
];

function managed(management: readonly string[], inbound: readonly string[]): string {
  return `version: 1
platform:
  management:${management.map((rule) => `\n    - ${rule}`).join('')}
securityGroups:
  g:
    inbound:${inbound.map((rule) => `\n      - ${rule}`).join('')}
instances: { host: { interfaces: { eth0: { securityGroups: [g] } } } }
`;
}

// eth1 has the group too, and drops what is invalid.
function invalid(setting: string): string {
  const some = (remote: string): string =>
    `[{ protocol: tcp, ports: 22, ${remote}: any }, { protocol: icmp, ${remote}: any }]`;
  return `version: 1
securityGroups: { g: { inbound: ${some('source')}, outbound: ${some('destination')} } }
instances:
  host: { interfaces: { eth0: { securityGroups: [g]${setting && `, ${setting}`} }, eth1: { securityGroups: [g] } } }
`;
}
