import { expect, test } from 'vitest';
import { logEntry } from '#daemon/serve/log-entry.ts';
import { BARE_HOST, hostPolicyOf } from '../netns/enforce.ts';
import { readAddress } from '../oracle/read-literals.ts';

/** So many rules share the chain that logs what is denied. */
const MANY = 501;

const POLICY = JSON.stringify({
  version: 1,
  securityGroups: {
    many: {
      inbound: [
        { action: 'deny', protocol: 'tcp', ports: 22, source: 'any' },
        ...Array.from({ length: MANY }, (_, i) => ({ protocol: 'tcp', ports: 1_000 + i, source: '192.0.2.1' })),
      ],
    },
    other: {},
  },
  instances: { host: { interfaces: { 'eth*': { securityGroups: ['many'] }, blue: { securityGroups: ['other'] } } } },
});

const HOST = {
  ...BARE_HOST,
  interfaces: [
    { index: 2, name: 'blue', kind: 'vrf', addresses: [] },
    { index: 3, name: 'eth9', master: 2, addresses: [] },
  ],
};

test.each([
  ['the interface that it came by', 3, 22, 'many'],
  ['the VRF whose member it came by', 2, 22, 'many'],
  ['that VRF, where no rule denies it', 2, 23, undefined],
])('a denied packet that is logged with %s tells its rule', async (_, interfaceIndex, destinationPort, group) => {
  const policies = [await hostPolicyOf(POLICY, { host: HOST })];
  const entry = logEntry(
    {
      prefix: 'none/in/eth-any',
      interfaceIndex,
      protocol: 6,
      source: readAddress('198.51.100.1'),
      destination: readAddress('192.0.2.9'),
      sourcePort: 50_000,
      destinationPort,
      icmpType: undefined,
      icmpCode: undefined,
      length: 60,
    },
    { policies, host: HOST, now: new Date(0) },
  );
  expect(entry?.verdict).toBe('deny');
  expect(entry?.rule?.group).toBe(group);
});
