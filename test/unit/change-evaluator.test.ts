import { expect, test } from 'vitest';
import { createChangeEvaluator } from '#core/meaning/flows/change-evaluator.ts';
import { addressCharacters, flowKey, portCharacters } from '#core/model/packet/flow-key.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { hostPolicyOf } from '../netns/enforce.ts';

const at = (value: bigint) => ({ family: 'ipv4', value }) as const;
const INTERFACES = [
  { index: 1, name: 'lo', addresses: [at(0x7f00_0001n)] },
  { index: 2, name: 'eth0', addresses: [at(1n)] },
  { index: 3, name: 'eth1', addresses: [at(2n)] },
];

/** The ports that each interface lets everyone reach. */
const policy = (eth0: readonly number[], eth1: readonly number[]): Promise<HostPolicy> => {
  const group = (ports: readonly number[]) => ({
    inbound: ports.map((port) => ({ protocol: 'tcp', ports: port, source: 'any' })),
  });
  return hostPolicyOf(
    JSON.stringify({
      version: 1,
      securityGroups: { a: group(eth0), b: group(eth1) },
      instances: { host: { interfaces: { eth0: { securityGroups: ['a'] }, eth1: { securityGroups: ['b'] } } } },
    }),
  );
};

const TO_ETH0 = flowKey(
  6,
  { address: addressCharacters('ipv4', 1n), port: portCharacters(80) },
  { address: addressCharacters('ipv4', 9n), port: portCharacters(50_000) },
);

test.each([
  ['the interface that holds the address takes it away', [80], [], [], [], true, 'deny', false],
  ['another by which its packets can come does', [80], [80], [80], [], true, 'allow', false],
  ['another never let it in', [80], [], [80, 81], [], false, 'allow', false],
  ['another lets it in again', [80], [], [80], [80], false, 'allow', true],
  ['its own lets it in again, and another never did', [], [], [80], [], false, 'allow', true],
  ['its own denies it still, and another lets it in', [], [], [], [80], false, 'deny', false],
] as const)('%s', async (_, was0, was1, is0, is1, isTaken, now, isAgain) => {
  const change = { before: [await policy(was0, was1)], now: await policy(is0, is1) };
  const judge = createChangeEvaluator(change, INTERFACES);
  expect([judge.isTakenAwayAnywhere(TO_ETH0), judge.now(TO_ETH0), judge.isLetInAgain(TO_ETH0)]).toEqual([
    isTaken,
    now,
    isAgain,
  ]);
});

test('where nothing is known of before, what any interface denies stays revoked', async () => {
  const again = async (eth1: readonly number[]): Promise<boolean> =>
    createChangeEvaluator({ before: [], now: await policy([80], eth1) }, INTERFACES).isLetInAgain(TO_ETH0);
  expect([await again([]), await again([80])]).toEqual([false, true]);
});
