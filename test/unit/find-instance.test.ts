import { describe, expect, test } from 'vitest';
import { findInstance } from '../../src/2-analyze/host-policy.ts';
import { policyOf } from '../netns/enforce.ts';

const ID_A = '0123456789abcdef0123456789abcdef';
const ID_B = 'fedcba9876543210fedcba9876543210';

const POLICY = `version: 1
instances:
  web-1: {}
  by-name: { hostname: Mail.Example.com }
  by-id: { machineId: ${ID_A.toUpperCase()} }
  "*": {}
`;

describe('findInstance', () => {
  test.each([
    ['the name', 'web-1', ID_B, 'web-1'],
    ['the name, in another case', 'WEB-1', ID_B, 'web-1'],
    ["the full name's first label", 'web-1.example.com', ID_B, 'web-1'],
    ['`hostname`', 'mail.example.com', ID_B, 'by-name'],
    ['`machineId`, whatever the name', 'web-1', ID_A, 'by-id'],
    ['`*`, for the first label of a full `hostname`', 'mail', ID_B, '*'],
    ['`*`, for the name of an instance that is matched by `hostname`', 'by-name', ID_B, '*'],
    ['`*`, for the name of an instance that is matched by `machineId`', 'by-id', ID_B, '*'],
    ['`*`, for a name that only begins alike', 'web-10', ID_B, '*'],
    ['`*`, for a host without a machine id', 'db', '', '*'],
  ])('by %s', async (_how, hostname, machineId, expected) => {
    expect(findInstance(await policyOf(POLICY), { hostname, machineId })).toBe(expected);
  });

  test('finds none where the policy has no `*`', async () => {
    const policy = await policyOf('version: 1\ninstances:\n  web-1: {}\n');
    expect(findInstance(policy, { hostname: 'db', machineId: '' })).toBeUndefined();
    expect(findInstance(policy, { hostname: 'web-1', machineId: '' })).toBe('web-1');
  });
});
