import { describe, expect, test } from 'vitest';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { interfaceNotes } from '#core/meaning/lint/interface-notes.ts';
import { formatInterval } from '#core/model/net/interval.ts';
import type { HostInterface, HostPolicy } from '#core/model/policy/host.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import { BARE_HOST, hostPolicyOf } from '../netns/enforce.ts';
import { readAddress } from '../oracle/read-literals.ts';

type Link = Partial<HostInterface> & { readonly name: string };

/** Interfaces with indices from 2 on, in order. */
function hostOf(links: readonly Link[]) {
  return { ...BARE_HOST, interfaces: links.map((link, i) => ({ index: i + 2, addresses: [], ...link })) };
}

function policyText(interfaces: Readonly<Record<string, string>>, unmanaged: string): string {
  const bound = Object.entries(interfaces).map(([name, group]) => [name, { securityGroups: [group] }]);
  return JSON.stringify({
    version: 1,
    unmanagedInterfaces: unmanaged,
    securityGroups: { a: { inbound: [{ protocol: 'tcp', ports: 80, source: 'any' }] }, b: {}, c: {} },
    instances: { host: { interfaces: Object.fromEntries(bound) } },
  });
}

async function resolved(
  interfaces: Readonly<Record<string, string>>,
  links: readonly Link[],
  unmanaged = 'allow',
): Promise<HostPolicy> {
  return hostPolicyOf(policyText(interfaces, unmanaged), { host: hostOf(links) });
}

/** By which group an inbound packet on an interface is judged. */
function groupOn(policy: HostPolicy, name: string): string | undefined {
  const { binding } = evaluate(policy, {
    interface: name,
    direction: 'inbound',
    state: 'new',
    protocol: 6,
    source: readAddress('198.51.100.1'),
    destination: readAddress('192.0.2.1'),
    sourcePort: 50_000,
    destinationPort: 80,
    icmpType: undefined,
    icmpCode: undefined,
    hopLimit: undefined,
  });
  return binding?.groups[0];
}

const VRF: Link = { name: 'blue', kind: 'vrf' };

describe('an interface is judged by', () => {
  test.each<[string, Readonly<Record<string, string>>, readonly Link[], string, string | undefined]>([
    ['an alternative name', { alt0: 'a' }, [{ name: 'x0', altnames: ['alt0', 'alt1'] }], 'x0', 'a'],
    ['none that it does not have', { alt2: 'a' }, [{ name: 'x0', altnames: ['alt0'] }], 'x0', undefined],
    ['its name before an alternative one', { x0: 'a', alt0: 'b' }, [{ name: 'x0', altnames: ['alt0'] }], 'x0', 'a'],
    ['an alternative name before a glob', { 'x*': 'a', alt0: 'b' }, [{ name: 'x0', altnames: ['alt0'] }], 'x0', 'b'],
    ['no glob of alternative names', { 'alt*': 'a' }, [{ name: 'x0', altnames: ['alt0'] }], 'x0', undefined],
    ['its VRF', { blue: 'a' }, [VRF, { name: 'eth9', master: 2 }], 'eth9', 'a'],
    ['its name before its VRF', { blue: 'a', eth9: 'b' }, [VRF, { name: 'eth9', master: 2 }], 'eth9', 'b'],
    ['a glob before its VRF', { blue: 'a', 'eth*': 'b' }, [VRF, { name: 'eth9', master: 2 }], 'eth9', 'b'],
    ['its VRF by a glob', { 'bl*': 'a' }, [VRF, { name: 'eth9', master: 2 }], 'eth9', 'a'],
    [
      'its VRF by an alternative name',
      { alt0: 'a' },
      [
        { ...VRF, altnames: ['alt0'] },
        { name: 'eth9', master: 2 },
      ],
      'eth9',
      'a',
    ],
    [
      'no bridge',
      { br7: 'a' },
      [
        { name: 'br7', kind: 'bridge' },
        { name: 'eth9', master: 2 },
      ],
      'eth9',
      undefined,
    ],
    ['no VRF that it is not in', { blue: 'a' }, [VRF, { name: 'eth9' }], 'eth9', undefined],
  ])('%s', async (_, interfaces, links, name, group) => {
    expect(groupOn(await resolved(interfaces, links), name)).toBe(group);
  });

  test('an alternative name, and its addresses are those of members', async () => {
    const addresses = [readAddress('192.0.2.7')];
    const policy = await resolved({ alt0: 'a' }, [{ name: 'x0', altnames: ['alt0'], addresses }]);
    expect(policy.members.get('a' as GroupName)?.ipv4.hosts.map(formatInterval)).toEqual(['192.0.2.7']);
    const other = await resolved({ alt1: 'a' }, [{ name: 'x0', altnames: ['alt0'], addresses }]);
    expect(other.members.get('a' as GroupName)?.ipv4.hosts).toEqual([]);
  });
});

describe('what is noteworthy of interfaces', () => {
  const bridge: Link = { name: 'br7', kind: 'bridge' };
  const port: Link = { name: 'eth9', master: 2 };

  test.each<[string, Readonly<Record<string, string>>, readonly Link[], readonly string[]]>([
    [
      'a port of a bridge that is not named',
      { eth9: 'a' },
      [bridge, port],
      [
        '`eth9` is a port of the bridge `br7`, which the policy does not name: nothing is judged on it; name `br7` instead',
      ],
    ],
    [
      'a port of a bridge that is named',
      { eth9: 'a', br7: 'b' },
      [bridge, port],
      [
        '`eth9` is a port of the bridge `br7`, and its packets are judged by that name: the groups of `eth9` judge nothing on it; remove `eth9`, or take `eth9` out of `br7`',
      ],
    ],
    ['a port by a glob that names the bridge too', { '*': 'a' }, [bridge, port], []],
    [
      'a port by a glob that does not',
      { 'eth*': 'a' },
      [bridge, port],
      [
        '`eth9` is a port of the bridge `br7`, which the policy does not name: nothing is judged on it; name `br7` instead',
      ],
    ],
    ['a port that nothing names', { eth0: 'a' }, [bridge, port], []],
    [
      'a member of a bond',
      { eth9: 'a' },
      [{ name: 'bond0', kind: 'bond' }, port],
      [
        '`eth9` is a member of the bond `bond0`, which the policy does not name: nothing is judged on it; name `bond0` instead',
      ],
    ],
    [
      'a port of Open vSwitch',
      { eth9: 'a' },
      [{ name: 'ovs-system', kind: 'openvswitch' }, port],
      [
        '`eth9` is a port of the Open vSwitch datapath `ovs-system`, which the policy does not name: nothing is judged on it; name the interface that holds the addresses instead',
      ],
    ],
    ['a member of a VRF', { eth9: 'a' }, [VRF, port], []],
    [
      'a macvlan that is not named',
      { eth9: 'a' },
      [{ name: 'eth9' }, { name: 'mac0', kind: 'macvlan', lower: 2 }],
      [
        '`mac0` is a macvlan on `eth9` with traffic of its own, and the policy does not name it: nothing is judged on it; name `mac0` too',
      ],
    ],
    [
      'a macvlan that is',
      { eth9: 'a', mac0: 'b' },
      [{ name: 'eth9' }, { name: 'mac0', kind: 'macvlan', lower: 2 }],
      [],
    ],
    ['a VLAN on what is not named', { eth0: 'a' }, [{ name: 'eth9' }, { name: 'eth9.5', kind: 'vlan', lower: 2 }], []],
    [
      'a renamed one',
      { eth0: 'a' },
      [{ name: 'other0', formerNames: ['eth0'] }],
      [
        '`eth0` was renamed to `other0`, which the policy does not name: nothing is judged on it; name `other0` instead',
      ],
    ],
    ['one renamed to what is named', { eth0: 'a', other0: 'b' }, [{ name: 'other0', formerNames: ['eth0'] }], []],
    [
      'one renamed whose name another one has now',
      { eth0: 'a' },
      [{ name: 'other0', formerNames: ['eth0'] }, { name: 'eth0' }],
      [],
    ],
  ])('%s', async (_, interfaces, links, notes) => {
    const policy = await resolved(interfaces, links);
    expect(interfaceNotes(policy, hostOf(links)).map(({ message, help }) => `${message}; ${help}`)).toEqual(notes);
  });

  test('where interfaces that are not named are denied, a port is said to be, and their children are nothing new', async () => {
    const links: readonly Link[] = [bridge, port, { name: 'eth8' }, { name: 'mac0', kind: 'macvlan', lower: 4 }];
    const policy = await resolved({ eth9: 'a', eth8: 'b' }, links, 'deny');
    expect(interfaceNotes(policy, hostOf(links)).map(({ message }) => message)).toEqual([
      '`eth9` is a port of the bridge `br7`, which the policy does not name: everything is denied on it',
    ]);
  });
});
