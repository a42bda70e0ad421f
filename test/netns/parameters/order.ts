import { groups, type ParameterRow, rules } from './row.ts';

const DENY_22 = '{ protocol: tcp, ports: 22, REMOTE: any, action: deny';
const ALLOW_22 = '{ protocol: tcp, ports: 22, REMOTE: any, action: allow';

const MEMBER_IN = 'inbound all with 2001:db8:5::7';

/** The policy of a group `g` of this content, of which another instance is a member too. */
function template(content: string): string {
  return `version: 1
securityGroups:
  g: ${content}
instances:
  other: { interfaces: { eth0: { addresses: [198.51.100.7, "2001:db8:5::7"], securityGroups: [g] } } }
  host: { interfaces: { eth0: { addresses: [10.77.0.1, "fd77:0::1"], securityGroups: [g] } } }
`;
}

/** Actions, priorities, the order of groups, templates: which of several matching rules decides. */
export const ORDER_ROWS: readonly ParameterRow[] = [
  {
    parameter: 'action: deny',
    policy: rules(`${DENY_22} }`, '{ protocol: udp, ports: 53, REMOTE: any, action: deny }', '{ REMOTE: any }'),
    through: ['tcp 21', 'tcp 23', 'udp 22', 'udp 52', 'udp 54', 'icmp 8', 'icmpv6 128', 'gre'],
    not: ['tcp 22', 'udp 53'],
  },
  {
    parameter: 'action: deny for each protocol',
    policy: rules(
      '{ protocol: gre, REMOTE: any, action: deny }',
      '{ protocol: icmp, icmp: echo-request, REMOTE: any, action: deny }',
      '{ protocol: 46, REMOTE: any, action: deny }',
      '{ REMOTE: any }',
    ),
    through: ['icmp 13', 'icmpv6 139', 'protocol 45', 'protocol 253', 'tcp 47', 'udp 46'],
    not: ['gre', 'icmp 8', 'icmpv6 128', 'protocol 46'],
  },
  {
    parameter: 'action: absent is allow',
    policy: rules('{ protocol: tcp, ports: 22, REMOTE: any }'),
    through: ['tcp 22'],
    not: ['tcp 2'],
  },
  {
    parameter: 'priority: deny before allow at one priority, wherever it stands',
    policy: rules('{ protocol: tcp, REMOTE: any, priority: 7 }', `${DENY_22}, priority: 7 }`),
    through: ['tcp 21', 'tcp 23'],
    not: ['tcp 22'],
  },
  {
    parameter: 'priority: allow at 1 before deny at 2',
    policy: rules('{ protocol: tcp, REMOTE: any, action: deny, priority: 2 }', `${ALLOW_22}, priority: 1 }`),
    through: ['tcp 22'],
    not: ['tcp 21', 'tcp 23'],
  },
  {
    parameter: 'priority: deny at 1 before allow at 2',
    policy: rules('{ protocol: tcp, REMOTE: any, priority: 2 }', `${DENY_22}, priority: 1 }`),
    through: ['tcp 21', 'tcp 23'],
    not: ['tcp 22'],
  },
  {
    parameter: 'priority: 9 before 10, 99 before 100',
    policy: rules(
      `${DENY_22}, priority: 10 }`,
      `${ALLOW_22}, priority: 9 }`,
      '{ protocol: tcp, ports: 23, REMOTE: any, priority: 100 }',
      '{ protocol: tcp, ports: 23, REMOTE: any, priority: 99, action: deny }',
    ),
    through: ['tcp 22'],
    not: ['tcp 23'],
  },
  {
    parameter: 'priority: absent is 1',
    policy: rules(
      `${DENY_22}, priority: 2 }`,
      `${ALLOW_22} }`,
      '{ protocol: tcp, ports: 23, REMOTE: any, priority: 1, action: deny }',
      '{ protocol: tcp, ports: 23, REMOTE: any }',
    ),
    through: ['tcp 22'],
    not: ['tcp 23'],
  },
  {
    parameter: 'priority: a narrow rule against a wide one',
    policy: rules(
      '{ REMOTE: 192.0.2.0/24, priority: 3 }',
      '{ REMOTE: 192.0.2.16/28, action: deny, priority: 2 }',
      '{ REMOTE: 192.0.2.20, priority: 1 }',
    ),
    through: ['all with 192.0.2.15', 'all with 192.0.2.20', 'all with 192.0.2.32'],
    not: ['all with 192.0.2.16', 'all with 192.0.2.19', 'all with 192.0.2.21', 'all with 192.0.2.31'],
  },
  {
    parameter: 'groups: the second is asked after the first',
    policy: groups({ first: [`${ALLOW_22} }`], second: ['{ protocol: tcp, ports: 80, REMOTE: any }'] }),
    through: ['tcp 22', 'tcp 80'],
    not: ['tcp 21', 'tcp 81'],
  },
  {
    parameter: 'groups: in sequence, whatever the priorities',
    policy: groups({ first: [`${DENY_22}, priority: 100 }`], second: ['{ protocol: tcp, REMOTE: any, priority: 1 }'] }),
    through: ['tcp 21', 'tcp 23'],
    not: ['tcp 22'],
  },
  {
    parameter: 'groups: in sequence, an allow of the first before a deny of the second',
    policy: groups({
      first: [`${ALLOW_22}, priority: 100 }`],
      second: ['{ protocol: tcp, REMOTE: any, action: deny, priority: 1 }'],
      third: ['{ REMOTE: any }'],
    }),
    through: ['tcp 22', 'udp 22'],
    not: ['tcp 21', 'tcp 23'],
  },
  {
    parameter: 'evaluation: merged, by priority alone',
    policy: groups(
      {
        first: [`${DENY_22}, priority: 100 }`, '{ protocol: udp, REMOTE: any, priority: 50 }'],
        second: [`${ALLOW_22}, priority: 1 }`, '{ protocol: udp, ports: 53, REMOTE: any, action: deny, priority: 49 }'],
      },
      'evaluation: merged',
    ),
    through: ['tcp 22', 'udp 52', 'udp 54'],
    not: ['udp 53', 'tcp 21'],
  },
  {
    parameter: 'evaluation: merged, deny before allow across groups',
    policy: groups(
      { first: ['{ protocol: tcp, REMOTE: any, priority: 5 }'], second: [`${DENY_22}, priority: 5 }`] },
      'evaluation: merged',
    ),
    through: ['tcp 21', 'tcp 23'],
    not: ['tcp 22'],
  },
  {
    parameter: 'evaluation: of the whole policy',
    policy: `${groups({ first: [`${DENY_22}, priority: 2 }`], second: [`${ALLOW_22} }`] })}\nevaluation: merged`,
    through: ['tcp 22'],
    not: ['tcp 23'],
  },
  {
    parameter: 'evaluation: of the instance before that of the policy',
    policy: `${groups(
      { first: [`${DENY_22}, priority: 2 }`], second: ['{ protocol: tcp, REMOTE: any }'] },
      'evaluation: sequence',
    )}\nevaluation: merged`,
    through: ['tcp 23'],
    not: ['tcp 22'],
  },
  {
    parameter: 'template: default',
    policy: template('{ template: default }'),
    through: ['outbound all', 'outbound tcp 22 with 198.51.100.7', 'inbound all with 198.51.100.7', MEMBER_IN],
    not: ['inbound all', 'inbound all with 198.51.100.8', 'inbound tcp 22'],
  },
  {
    parameter: 'template: Sys-WebServer',
    policy: template('{ template: Sys-WebServer }'),
    through: [
      ...['outbound all', 'inbound all with 198.51.100.7', MEMBER_IN, 'inbound icmp 8', 'inbound icmp 13'],
      ...[22, 80, 443, 3389].map((port) => `inbound tcp ${port} with 203.0.113.9`),
    ],
    not: [
      ...['inbound icmpv6 128', 'inbound udp 443', 'inbound gre', 'inbound tcp 443 with 2001:db8:9::9'],
      ...[21, 23, 79, 81, 442, 444, 3388, 3390].map((port) => `inbound tcp ${port}`),
    ],
  },
  {
    parameter: 'template: Sys-FullAccess',
    policy: template('{ template: Sys-FullAccess }'),
    through: ['all', 'tcp 0', 'all with 198.51.100.7'],
    not: ['tcp 80 flags none'],
  },
  {
    parameter: 'template: and rules of its own',
    policy: template(`
      template: Sys-WebServer
      inbound:
        - { protocol: tcp, ports: 22, source: any, action: deny }
        - { protocol: tcp, ports: 80, source: any, action: deny, priority: 2 }
        - { protocol: tcp, ports: 25, source: any }
      outbound:
        - { protocol: tcp, ports: 25, destination: any, action: deny }`),
    through: ['inbound tcp 25', 'inbound tcp 80 with 203.0.113.9', 'outbound tcp 24', 'outbound tcp 26'],
    not: ['inbound tcp 22', 'inbound tcp 22 with 198.51.100.7', 'inbound tcp 26', 'outbound tcp 25'],
  },
  {
    parameter: 'template: none',
    policy: template('{ description: nothing, outbound: [{ protocol: tcp, ports: 25, destination: any }] }'),
    through: ['outbound tcp 25'],
    not: ['all', 'all with 198.51.100.7', 'inbound tcp 25'],
  },
];
