import { type ParameterRow, rules } from './row.ts';

/** What shows that a policy whose other rule matches nothing is in force. */
const AND_PORT_9 = '{ protocol: tcp, ports: 9, REMOTE: any }';

/** Remotes of all kinds, and the family. */
export const REMOTE_ROWS: readonly ParameterRow[] = [
  {
    parameter: 'remote: an address',
    policy: rules('{ REMOTE: 192.0.2.8 }', '{ REMOTE: "2001:db8:1::8" }'),
    through: ['all with 192.0.2.8', 'all with 2001:db8:1::8'],
    not: ['all with 192.0.2.7', 'all with 192.0.2.9', 'all with 2001:db8:1::7', 'all with 2001:db8:1::9'],
  },
  {
    parameter: 'remote: an address as a CIDR',
    policy: rules('{ REMOTE: 192.0.2.8/32 }', '{ REMOTE: "2001:db8:1::8/128" }'),
    through: ['all with 192.0.2.8', 'all with 2001:db8:1::8'],
    not: ['all with 192.0.2.7', 'all with 192.0.2.9', 'all with 2001:db8:1::7', 'all with 2001:db8:1::9'],
  },
  {
    parameter: 'remote: a CIDR',
    policy: rules('{ REMOTE: 192.0.2.16/28 }', '{ REMOTE: "2001:db8:2::/126" }'),
    through: ['all with 192.0.2.16', 'all with 192.0.2.31', 'all with 2001:db8:2::', 'all with 2001:db8:2::3'],
    not: [
      'all with 192.0.2.15',
      'all with 192.0.2.32',
      'all with 2001:db8:1:ffff:ffff:ffff:ffff:ffff',
      'all with 2001:db8:2::4',
    ],
  },
  {
    parameter: 'remote: a CIDR that ends within a byte',
    policy: rules('{ REMOTE: 172.16.0.0/12 }', '{ REMOTE: "2001:db8:10::/44" }'),
    through: [
      'all with 172.16.0.0',
      'all with 172.31.255.255',
      'all with 2001:db8:10::',
      'all with 2001:db8:1f:ffff:ffff:ffff:ffff:ffff',
    ],
    not: [
      'all with 172.15.255.255',
      'all with 172.32.0.0',
      'all with 2001:db8:f:ffff:ffff:ffff:ffff:ffff',
      'all with 2001:db8:20::',
    ],
  },
  {
    parameter: 'remote: a CIDR with host bits',
    policy: rules('{ REMOTE: 192.0.2.21/28 }', '{ REMOTE: "2001:db8:2::2/126" }'),
    through: ['tcp 1 with 192.0.2.16', 'tcp 1 with 192.0.2.31', 'tcp 1 with 2001:db8:2::', 'tcp 1 with 2001:db8:2::3'],
    not: ['tcp 1 with 192.0.2.15', 'tcp 1 with 192.0.2.32', 'tcp 1 with 2001:db8:2::4'],
  },
  {
    parameter: 'remote: a short prefix',
    policy: rules('{ REMOTE: 128.0.0.0/1 }', '{ REMOTE: "::/3" }'),
    through: ['all with 128.0.0.0', 'all with 223.255.255.255', 'all with 64:ff9b::1', 'all with 1fff::1'],
    not: ['all with 126.255.255.255', 'all with 2000::'],
  },
  {
    parameter: 'remote: a range',
    policy: rules('{ REMOTE: 192.0.2.10-192.0.2.20 }', '{ REMOTE: "2001:db8:3::a-2001:db8:3::c" }'),
    through: ['all with 192.0.2.10', 'all with 192.0.2.20', 'all with 2001:db8:3::a', 'all with 2001:db8:3::c'],
    not: ['all with 192.0.2.9', 'all with 192.0.2.21', 'all with 2001:db8:3::9', 'all with 2001:db8:3::d'],
  },
  {
    parameter: 'remote: a range across a boundary of bytes',
    policy: rules('{ REMOTE: 192.0.2.250-192.0.3.5 }', '{ REMOTE: "2001:db8:3::fffe-2001:db8:3::1:1" }'),
    through: ['all with 192.0.2.250', 'all with 192.0.3.0', 'all with 192.0.3.5', 'all with 2001:db8:3::1:0'],
    not: ['all with 192.0.2.249', 'all with 192.0.3.6', 'all with 2001:db8:3::fffd', 'all with 2001:db8:3::1:2'],
  },
  {
    parameter: 'remote: any, of both families',
    policy: rules('{ protocol: tcp, REMOTE: any }'),
    through: ['tcp 1', 'tcp 1 with 1.0.0.1', 'tcp 1 with 223.255.255.254', 'tcp 1 with fd00::1'],
    not: ['udp 1', 'udp 1 with 1.0.0.1'],
  },
  {
    parameter: 'type: ipv4',
    policy: rules('{ type: ipv4, REMOTE: any }'),
    through: ['all with 203.0.113.9'],
    not: ['all with 2001:db8:9::9'],
  },
  {
    parameter: 'type: ipv6',
    policy: rules('{ type: ipv6, REMOTE: any }'),
    through: ['all with 2001:db8:9::9'],
    not: ['all with 203.0.113.9'],
  },
  {
    parameter: 'type: as the remote tells, 0.0.0.0/0',
    policy: rules('{ REMOTE: 0.0.0.0/0 }'),
    through: ['all with 203.0.113.9', 'tcp 1 with 1.0.0.1'],
    not: ['all with 2001:db8:9::9'],
  },
  {
    parameter: 'type: as the remote tells, ::/0',
    policy: rules('{ REMOTE: "::/0" }'),
    through: ['all with 2001:db8:9::9', 'tcp 1 with fd00::1'],
    not: ['all with 203.0.113.9'],
  },
  {
    parameter: 'address group: addresses',
    policy: rules('{ REMOTE: { addressGroup: hosts } }'),
    through: ['all with 192.0.2.8', 'all with 2001:db8:1::8'],
    not: ['all with 192.0.2.7', 'all with 192.0.2.9', 'all with 2001:db8:1::7', 'all with 2001:db8:1::9'],
  },
  {
    parameter: 'address group: CIDRs',
    policy: rules('{ REMOTE: { addressGroup: cidrs } }'),
    through: ['all with 192.0.2.16', 'all with 192.0.2.31', 'all with 2001:db8:2::', 'all with 2001:db8:2::3'],
    not: ['all with 192.0.2.15', 'all with 192.0.2.32', 'all with 2001:db8:2::4'],
  },
  {
    parameter: 'address group: ranges',
    policy: rules('{ REMOTE: { addressGroup: ranges } }'),
    through: ['all with 192.0.2.40', 'all with 192.0.2.50', 'all with 2001:db8:3::a', 'all with 2001:db8:3::c'],
    not: ['all with 192.0.2.39', 'all with 192.0.2.51', 'all with 2001:db8:3::9', 'all with 2001:db8:3::d'],
  },
  {
    parameter: 'address group: every IPv4 address',
    policy: rules('{ REMOTE: { addressGroup: every-ipv4 } }'),
    through: ['all with 1.0.0.1', 'all with 203.0.113.9', 'tcp 1 with 223.255.255.254'],
    not: ['all with 2001:db8:9::9'],
  },
  {
    parameter: 'address group: every IPv6 address, and IPv4 ones beside it',
    policy: rules('{ protocol: tcp, REMOTE: { addressGroup: every-ipv6 } }'),
    through: ['tcp 1 with 2001:db8:9::9', 'tcp 1 with fd00::1', 'tcp 1 with 192.0.2.8'],
    not: ['udp 1 with 2001:db8:9::9', 'tcp 1 with 192.0.2.9', 'tcp 1 with 203.0.113.9'],
  },
  {
    parameter: 'address group: every address, denied before others',
    policy: rules('{ action: deny, protocol: udp, REMOTE: { addressGroup: everyone } }', '{ REMOTE: any }'),
    through: ['tcp 1', 'tcp 1 with 198.51.100.77'],
    not: ['udp 1', 'udp 1 with 198.51.100.77', 'udp 1 with 2001:db8:8::8'],
  },
  {
    parameter: 'address group: entries of all kinds',
    policy: rules('{ REMOTE: { addressGroup: mixed } }'),
    through: [
      ...['all with 192.0.2.60', 'tcp 1 with 192.0.2.62', 'tcp 1 with 192.0.2.63', 'tcp 1 with 192.0.2.66'],
      ...['all with 192.0.2.67', 'tcp 1 with 2001:db8:3::20', 'all with 2001:db8:3::22', 'all with 2001:db8:3::23'],
    ],
    not: [
      ...['tcp 1 with 192.0.2.59', 'all with 192.0.2.61', 'all with 192.0.2.64', 'tcp 1 with 192.0.2.65'],
      ...['all with 192.0.2.68', 'tcp 1 with 2001:db8:3::1f', 'all with 2001:db8:3::21', 'all with 2001:db8:3::24'],
    ],
  },
  {
    parameter: 'address group: entries that overlap, touch and repeat',
    policy: rules('{ REMOTE: { addressGroup: overlapping } }'),
    through: ['all with 192.0.2.96', 'all with 192.0.2.100', 'all with 192.0.2.127', 'all with 192.0.2.131'],
    not: ['all with 192.0.2.95', 'all with 192.0.2.132'],
  },
  {
    parameter: 'address group: a list file',
    policy: rules('{ REMOTE: { addressGroup: listed } }'),
    through: ['all with 192.0.2.200', 'all with 192.0.2.208', 'all with 192.0.2.211', 'all with 2001:db8:7::1'],
    not: ['all with 192.0.2.199', 'all with 192.0.2.207', 'all with 192.0.2.212', 'all with 2001:db8:7::2'],
  },
  {
    parameter: 'address group: denied',
    policy: rules('{ REMOTE: { addressGroup: listed }, action: deny }', '{ REMOTE: any }'),
    through: ['all with 192.0.2.199', 'all with 192.0.2.212', 'all with 2001:db8:7::2'],
    not: ['all with 192.0.2.200', 'all with 192.0.2.208', 'all with 2001:db8:7::', 'all with 2001:db8:7::1'],
  },
  {
    parameter: 'address group: an empty one matches nothing',
    policy: rules('{ REMOTE: { addressGroup: empty } }', AND_PORT_9),
    through: ['tcp 9'],
    not: ['all', 'all with 192.0.2.8'],
  },
  {
    parameter: 'address group: an empty one denies nothing',
    policy: rules('{ REMOTE: { addressGroup: empty }, action: deny }', AND_PORT_9),
    through: ['tcp 9'],
    not: ['tcp 10'],
  },
  {
    parameter: 'address group: one without entries of the family matches nothing',
    policy: rules('{ type: ipv4, REMOTE: { addressGroup: ipv6-only } }', AND_PORT_9),
    through: ['tcp 9'],
    not: ['all', 'all with 192.0.2.8', 'all with 2001:db8:4::1'],
  },
  {
    parameter: 'address group: the family that has entries still matches',
    policy: rules('{ REMOTE: { addressGroup: ipv6-only } }'),
    through: ['all with 2001:db8:4::', 'all with 2001:db8:4:0:ffff:ffff:ffff:ffff'],
    not: ['all', 'all with 2001:db8:4:1::'],
  },
  {
    parameter: 'security group: every address of every member',
    policy: rules('{ REMOTE: { securityGroup: members } }'),
    through: [
      ...['all with 198.51.100.5', 'all with 198.51.100.9', 'all with 198.51.100.20'],
      ...['all with 2001:db8:5::5', 'all with 2001:db8:5::9'],
    ],
    not: [
      ...['all with 198.51.100.4', 'all with 198.51.100.6', 'all with 198.51.100.8', 'all with 198.51.100.21'],
      ...['all with 2001:db8:5::4', 'all with 2001:db8:5::a', 'all with 10.77.0.2'],
    ],
  },
  {
    parameter: 'security group: members of one family',
    policy: rules('{ type: ipv6, REMOTE: { securityGroup: members } }'),
    through: ['all with 2001:db8:5::5', 'all with 2001:db8:5::9'],
    not: ['all with 198.51.100.5', 'all with 2001:db8:5::6'],
  },
  {
    parameter: 'security group: without members matches nothing',
    policy: rules('{ REMOTE: { securityGroup: lonely } }', AND_PORT_9),
    through: ['tcp 9'],
    not: ['all', 'all with 198.51.100.5'],
  },
  {
    parameter: 'security group: without members of the family matches nothing',
    policy: rules('{ type: ipv4, REMOTE: { securityGroup: ipv6-members } }', AND_PORT_9),
    through: ['tcp 9'],
    not: ['all', 'all with 198.51.100.5', 'all with 2001:db8:5::9'],
  },
  {
    parameter: 'remote: self',
    policy: rules('{ REMOTE: self }'),
    through: ['all with 198.51.100.20', 'all with 2001:db8:5::20'],
    not: [
      ...['all with 198.51.100.19', 'all with 198.51.100.5', 'all with 2001:db8:5::21', 'all with 10.77.0.2'],
      // A member, but nobody else has the host's own address.
      'inbound all with 10.77.0.1',
    ],
  },
];
