import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { createFlowEvaluator, ownAddresses } from '#core/meaning/flows/flow-evaluator.ts';
import type { Family } from '#core/model/net/address.ts';
import {
  addressCharacters,
  addressNumber,
  familyOfFlow,
  flowKey,
  localEndOf,
  portCharacters,
  portNumber,
  protocolOfFlow,
  remoteEndOf,
} from '#core/model/packet/flow-key.ts';
import { hostPolicyOf } from '../netns/enforce.ts';
import { HOST, INSTANCE, POLICY, policyText } from '../property/arbitrary-policy.ts';

const PORT = fc.constantFrom(22, 53, 67, 68, 80, 443, 546, 547, 8_080, 40_000, 65_535);
const remoteOf = (family: Family): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: 1n, max: (1n << (family === 'ipv4' ? 32n : 128n)) - 2n });

test('a flow is judged as a packet of it from outside is', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      POLICY,
      fc.constantFrom<Family>('ipv4', 'ipv6'),
      fc.constantFrom<6 | 17>(6, 17),
      fc.array(fc.tuple(PORT, PORT, fc.integer({ min: 0 }), fc.boolean()), { minLength: 20, maxLength: 20 }),
      fc.infiniteStream(remoteOf('ipv4')),
      async (plain, family, protocol, flows, remotes) => {
        const policy = await hostPolicyOf(policyText(plain), { host: HOST, instance: INSTANCE });
        const judge = createFlowEvaluator(policy, HOST.interfaces);
        // Addresses that rules speak of are met more often than by chance.
        const named = [...policy.members.values(), ...policy.addressGroups.values()].flatMap((entries) =>
          [...entries[family].hosts, ...entries[family].ranges].flatMap(({ from, to }) => [from, to]),
        );
        for (const { name, addresses } of HOST.interfaces) {
          const local = addresses.find((address) => address.family === family);
          if (local === undefined || name === 'lo') continue;
          for (const [localPort, remotePort, pick, isNamed] of flows) {
            const random = remotes.next().value ?? 1n;
            const remote = (isNamed ? named[pick % Math.max(named.length, 1)] : undefined) ?? random;
            const key = flowKey(
              protocol,
              { address: addressCharacters(family, local.value), port: portCharacters(localPort) },
              { address: addressCharacters(family, remote), port: portCharacters(remotePort) },
            );
            const { verdict } = evaluate(policy, {
              interface: name,
              direction: 'inbound',
              protocol,
              source: { family, value: remote },
              destination: local,
              sourcePort: remotePort,
              destinationPort: localPort,
              icmpType: undefined,
              icmpCode: undefined,
              hopLimit: undefined,
              state: 'established',
            });
            expect([key, judge(key)]).toEqual([key, verdict]);
            seen.add(verdict);
          }
        }
      },
    ),
    { numRuns: 100 },
  );
  expect(seen).toEqual(new Set(['allow', 'deny']));
});

const LIST = Array.from({ length: 200 }, (_, i) => `198.51.100.${i}`).join(', ');

test.each([
  ['before a long list', 1, 3, 'deny'],
  ['behind it', 3, 1, 'allow'],
] as const)('a rule about one address %s decides by its place', async (_, priority, ofList, verdict) => {
  const policy = await hostPolicyOf(`version: 1
addressGroups: { many: { addresses: [${LIST}] } }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: 80, source: { addressGroup: many }, priority: ${ofList} }
      - { action: deny, protocol: tcp, ports: 80, source: 198.51.100.0/25, priority: ${priority} }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
`);
  const local = { family: 'ipv4', value: 0x0a00_0001n } as const;
  const judge = createFlowEvaluator(policy, [{ index: 2, name: 'eth0', addresses: [local] }]);
  const from = (remote: bigint): string =>
    judge(
      flowKey(
        6,
        { address: addressCharacters('ipv4', local.value), port: portCharacters(80) },
        { address: addressCharacters('ipv4', remote), port: portCharacters(50_000) },
      ),
    );
  expect(from(0xc633_6407n)).toBe(verdict);
  expect(from(0xc633_64a0n)).toBe('allow');
  expect(from(0xc633_64f0n)).toBe('deny');
});

test('an address that no interface but loopback holds is let in where any interface would', async () => {
  const policy = await hostPolicyOf(`version: 1
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: any }] }
  none: {}
instances: { host: { interfaces: { eth0: { securityGroups: [web] }, eth1: { securityGroups: [none] } } } }
`);
  const at = (value: bigint) => ({ family: 'ipv4', value }) as const;
  const interfaces = [
    { index: 1, name: 'lo', addresses: [at(0x7f00_0001n), at(3n)] },
    { index: 2, name: 'eth0', addresses: [at(1n)] },
    { index: 3, name: 'eth1', addresses: [at(2n)] },
  ];
  const judge = createFlowEvaluator(policy, interfaces);
  const to = (local: bigint, port: number): string =>
    judge(
      flowKey(
        6,
        { address: addressCharacters('ipv4', local), port: portCharacters(port) },
        { address: addressCharacters('ipv4', 9n), port: portCharacters(50_000) },
      ),
    );
  expect([to(1n, 80), to(2n, 80), to(3n, 80), to(3n, 81)]).toEqual(['allow', 'deny', 'allow', 'deny']);
  const isOwn = ownAddresses(interfaces);
  const own = [1n, 2n, 3n, 4n, 0x7f01_0203n].map((value) => isOwn(addressCharacters('ipv4', value)));
  expect(own).toEqual([true, true, true, false, true]);
});

test('a key gives back what it was made of', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Family>('ipv4', 'ipv6').chain((family) => fc.tuple(fc.constant(family), remoteOf(family))),
      fc.constantFrom<6 | 17>(6, 17),
      fc.integer({ min: 0, max: 65_535 }),
      ([family, value], protocol, port) => {
        const local = { address: addressCharacters(family, value), port: portCharacters(port) };
        const remote = { address: addressCharacters(family, value ^ 1n), port: portCharacters(65_535 - port) };
        const key = flowKey(protocol, local, remote);
        expect([familyOfFlow(key), protocolOfFlow(key), localEndOf(key), remoteEndOf(key)]).toEqual([
          family,
          protocol,
          local,
          remote,
        ]);
        expect([addressNumber(local.address), portNumber(local.port)]).toEqual([value, port]);
      },
    ),
  );
});
