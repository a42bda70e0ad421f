import { expect, test } from 'vitest';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import type { Address } from '#core/model/net/address.ts';
import type { HostInterface } from '#core/model/policy/host.ts';
import { hostPolicyOf } from '../netns/enforce.ts';
import { readAddress } from '../oracle/read-literals.ts';

const TEXT = `version: 1
securityGroups: { g: { inbound: [{ source: any }] } }
instances: { host: { interfaces: { "*": { securityGroups: [g] } } } }
`;

const INTERFACES: readonly HostInterface[] = [
  { index: 1, name: 'lo', addresses: ['127.0.0.1', '::1'].map(readAddress) },
  { index: 2, name: 'eth0', addresses: ['192.0.2.1', 'fe80::1'].map(readAddress) },
  { index: 3, name: 'eth1', addresses: ['192.0.2.2', 'fe80::2'].map(readAddress), master: 4 },
  { index: 4, name: 'red', addresses: ['192.0.2.3'].map(readAddress), kind: 'vrf' },
  { index: 5, name: 'eth2', addresses: ['192.0.2.4'].map(readAddress), master: 6 },
  { index: 6, name: 'br0', addresses: ['192.0.2.5'].map(readAddress), kind: 'bridge' },
];

async function judged(name: string, sources: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const host = { hostname: 'host', machineId: '', interfaces: INTERFACES };
  const policy = await hostPolicyOf(TEXT, { host });
  return Object.fromEntries(
    sources.map((text) => {
      const source: Address = readAddress(text);
      const destination = readAddress(source.family === 'ipv4' ? '192.0.2.99' : '2001:db8::99');
      const packet = {
        interface: name,
        direction: 'inbound',
        state: 'new',
        source,
        destination,
        protocol: 253,
      } as const;
      const none = { sourcePort: undefined, destinationPort: undefined, icmpType: undefined, icmpCode: undefined };
      return [text, evaluate(policy, { ...packet, ...none, hopLimit: undefined }).verdict];
    }),
  );
}

const SOURCES = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5', '192.0.2.6', '127.0.0.9', 'fe80::1'];

test('a VRF has addresses of its own, which are none of the host elsewhere; those of bridges are', async () => {
  expect(await judged('eth0', SOURCES)).toEqual({
    '192.0.2.1': 'deny',
    '192.0.2.2': 'allow',
    '192.0.2.3': 'allow',
    '192.0.2.4': 'deny',
    '192.0.2.5': 'deny',
    '192.0.2.6': 'allow',
    '127.0.0.9': 'deny',
    'fe80::1': 'deny',
  });
  const allowed = Object.fromEntries(SOURCES.map((source) => [source, 'allow']));
  expect(await judged('eth1', [...SOURCES, 'fe80::2'])).toEqual({ ...allowed, 'fe80::2': 'allow' });
  expect(await judged('red', SOURCES)).toEqual(allowed);
  expect(await judged('eth2', ['fe80::1', '192.0.2.1'])).toEqual({ 'fe80::1': 'allow', '192.0.2.1': 'deny' });
});
