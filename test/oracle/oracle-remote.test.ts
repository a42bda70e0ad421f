import { describe, expect, it } from 'vitest';
import type { PlainInterface, PlainPolicy, PlainRemote } from './plain-policy.ts';
import { answer, hostWith, icmp, incoming, outgoing, policyOf, tcp } from './scene.ts';

const DEFAULT = 'deny default';

/** The only members of some groups here are the host's own addresses. */
const OWN_AS_OTHERS = { ownAddress: false };

describe('remotes (section 3)', () => {
  const addressGroups = {
    office: { addresses: ['203.0.113.0/28', '203.0.113.8-203.0.113.20', '203.0.113.21', '2001:db8:1::/64'] },
    six: { addresses: ['2001:db8:1::/64'] },
    nobody: { addresses: [] },
  };

  it.each<readonly [PlainRemote, readonly string[], readonly string[]]>([
    ['any', ['0.0.0.1', '255.255.255.255', '::2', '2001:db8::1'], []],
    ['0.0.0.0/0', ['0.0.0.1', '255.255.255.255'], ['::2', '2001:db8::1']],
    ['::/0', ['::2', 'ffff::'], ['198.51.100.1']],
    ['198.51.100.7', ['198.51.100.7'], ['198.51.100.6', '198.51.100.8', '::c633:6407']],
    ['198.51.100.0/24', ['198.51.100.0', '198.51.100.255'], ['198.51.99.255', '198.51.101.0']],
    ['198.51.100.9/29', ['198.51.100.8', '198.51.100.15'], ['198.51.100.7', '198.51.100.16']],
    ['198.51.100.7/32', ['198.51.100.7'], ['198.51.100.6', '198.51.100.8']],
    ['198.51.100.10-198.51.100.20', ['198.51.100.10', '198.51.100.20'], ['198.51.100.9', '198.51.100.21']],
    [
      '2001:db8:9::/120',
      ['2001:db8:9::', '2001:db8:9::ff'],
      ['2001:db8:9::100', '2001:db8:8:ffff:ffff:ffff:ffff:ffff'],
    ],
    ['2001:DB8:9:0:0:0:0:1-2001:db8:9::f', ['2001:db8:9::1', '2001:db8:9::f'], ['2001:db8:9::', '2001:db8:9::10']],
    [{ addressGroup: 'office' }, ['203.0.113.0', '203.0.113.21', '2001:db8:1::1'], ['203.0.113.22', '2001:db8:2::']],
    [{ addressGroup: 'six' }, ['2001:db8:1::1'], ['203.0.113.1']],
    [{ addressGroup: 'nobody' }, [], ['203.0.113.1', '2001:db8:1::1', '0.0.0.1']],
  ])('%j', (remote, matched, unmatched) => {
    const policy = policyOf({ inbound: [{ source: remote }], outbound: [{ destination: remote }] }, { addressGroups });
    const both = (peer: string): readonly string[] => [
      answer(policy, incoming(peer, tcp(22))),
      answer(policy, outgoing(peer, tcp(22))),
    ];
    expect(matched.map(both)).toEqual(matched.map(() => ['allow rule g inbound[0]', 'allow rule g outbound[0]']));
    expect(unmatched.map(both)).toEqual(unmatched.map(() => [DEFAULT, DEFAULT]));
  });

  it('never makes any of an address group that its family leaves empty', () => {
    const rule = { source: { addressGroup: 'six' }, type: 'ipv4', action: 'deny' } as const;
    const policy = policyOf({ inbound: [rule, { source: 'any', priority: 2 }] }, { addressGroups });
    expect(answer(policy, incoming('203.0.113.1', tcp(22)))).toBe('allow rule g inbound[1]');
  });
});

describe('security groups as remotes (section 3)', () => {
  const other: PlainPolicy['instances'] = {
    peer: {
      interfaces: {
        eth0: { addresses: ['198.51.100.1', '198.51.100.2', '2001:db8:9::1'], securityGroups: ['x', 'g'] },
        eth1: { addresses: ['198.51.100.3'], securityGroups: ['x'] },
        eth2: { addresses: ['198.51.100.4'], securityGroups: [] },
      },
    },
    later: {
      interfaces: {
        'ens*': { addresses: ['198.51.100.5'], securityGroups: ['g'] },
        // This host has interfaces of such names, but they are not that host's.
        'et*': { addresses: 'dynamic', securityGroups: ['g'] },
      },
    },
  };

  function policy(remote: PlainRemote, own: Record<string, PlainInterface>): PlainPolicy {
    const securityGroups = { g: { inbound: [{ source: remote }] }, x: {}, nobody: {} };
    return { version: 1, platform: OWN_AS_OTHERS, securityGroups, instances: { ...hostWith(own), ...other } };
  }

  const dynamic = { addresses: 'dynamic', securityGroups: ['g'] } as const;
  it.each<readonly [PlainRemote, Record<string, PlainInterface>, readonly string[], readonly string[]]>([
    [
      'self',
      { eth0: { addresses: ['192.0.2.50'], securityGroups: ['g'] } },
      ['192.0.2.50', '198.51.100.1', '198.51.100.2', '2001:db8:9::1', '198.51.100.5'],
      ['192.0.2.10', '198.51.100.3', '198.51.100.4', '2001:db8:9::2', '198.51.100.0'],
    ],
    [
      { securityGroup: 'g' },
      { eth0: dynamic },
      ['192.0.2.10', '2001:db8::10', '198.51.100.1'],
      ['192.0.2.11', '192.0.2.99'],
    ],
    [{ securityGroup: 'x' }, { eth0: dynamic }, ['198.51.100.1', '198.51.100.3'], ['192.0.2.10', '198.51.100.5']],
    [{ securityGroup: 'nobody' }, { eth0: dynamic }, [], ['192.0.2.10', '198.51.100.1', '2001:db8:9::1']],
    ['self', { 'et*': dynamic }, ['192.0.2.10', '192.0.2.11'], ['192.0.2.99']],
    ['self', { '*': dynamic }, ['192.0.2.10', '192.0.2.11'], ['192.0.2.99']],
    // eth1 is not attached to the groups of a glob that another pattern takes it from.
    ['self', { 'et*': dynamic, eth1: { securityGroups: ['x'] } }, ['192.0.2.10'], ['192.0.2.11']],
    ['self', { eth0: { securityGroups: ['g'] }, eth1: { securityGroups: ['g'] } }, ['192.0.2.10', '192.0.2.11'], []],
    ['self', { eth0: { addresses: [], securityGroups: ['g'] } }, ['198.51.100.1'], ['192.0.2.10']],
  ])('%j seen from %j', (remote, own, matched, unmatched) => {
    const judged = policy(remote, own);
    const seen = (peer: string): string => answer(judged, incoming(peer, tcp(22)));
    expect(matched.map(seen)).toEqual(matched.map(() => 'allow rule g inbound[0]'));
    expect(unmatched.map(seen)).toEqual(unmatched.map(() => DEFAULT));
  });
});

describe('templates (section 6)', () => {
  const world = '203.0.113.200';
  const world6 = '2001:db8:ffff::1';
  const member = '192.0.2.10';
  const member6 = '2001:db8::10';

  it.each([
    [
      'default',
      [incoming(member, tcp(1)), incoming(member6, tcp(1)), outgoing(world, tcp(1)), outgoing(world6, tcp(1))],
      [incoming(world, tcp(443)), incoming(world6, tcp(1))],
    ],
    [
      'Sys-WebServer',
      [
        ...[443, 80, 22, 3389].map((port) => incoming(world, tcp(port))),
        incoming(world, icmp(13)),
        incoming(member, tcp(1)),
        incoming(member6, tcp(1)),
        outgoing(world, tcp(1)),
        outgoing(world6, tcp(1)),
      ],
      [
        incoming(world, tcp(8080)),
        incoming(world6, tcp(443)),
        incoming(world6, { protocol: 58, icmpType: 128, icmpCode: 0 }),
      ],
    ],
    [
      'Sys-FullAccess',
      [incoming(world, tcp(1)), incoming(world6, { protocol: 132 }), outgoing(world, tcp(1)), outgoing(world6, tcp(1))],
      [],
    ],
  ] as const)('%s', (template, allowed, denied) => {
    const policy: PlainPolicy = {
      version: 1,
      platform: OWN_AS_OTHERS,
      securityGroups: { g: { template } },
      instances: hostWith({ eth0: { securityGroups: ['g'] } }),
    };
    expect(allowed.map((packet) => answer(policy, packet).split(' ')[0])).toEqual(allowed.map(() => 'allow'));
    expect(denied.map((packet) => answer(policy, packet))).toEqual(denied.map(() => DEFAULT));
  });

  it('stands before the rules a group adds, at priority 1', () => {
    const added = [
      { source: world, priority: 2, action: 'deny' },
      { source: world, protocol: 'tcp', ports: 443 },
      { source: world, protocol: 'tcp', ports: 22, action: 'deny' },
    ] as const;
    const policy: PlainPolicy = {
      version: 1,
      securityGroups: { g: { template: 'Sys-WebServer', inbound: added } },
      instances: hostWith({ eth0: { securityGroups: ['g'] } }),
    };
    expect(answer(policy, incoming(world, tcp(443)))).toBe('allow rule g template Sys-WebServer inbound[1]');
    expect(answer(policy, incoming(world, tcp(22)))).toBe('deny rule g inbound[2]');
    expect(answer(policy, incoming(world, tcp(8080)))).toBe('deny rule g inbound[0]');
  });
});
