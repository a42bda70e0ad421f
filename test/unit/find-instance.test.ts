import { describe, expect, test } from 'vitest';
import { findInstance, matchHost } from '#core/model/policy/find-instance.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { policyOf } from '../netns/enforce.ts';

const ID_A = '0123456789abcdef0123456789abcdef';
const ID_B = 'fedcba9876543210fedcba9876543210';

const POLICY = `version: 1
instances:
  web-1: {}
  by-name: { hostname: Mail.Example.com }
  app-1.example.com: {}
  db-1.one.example: {}
  db-1.two.example: {}
  localhost.localdomain: {}
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
    ['the first label of the only full name that has it', 'app-1', ID_B, 'app-1.example.com'],
    ['the first label of the only `hostname` that has it', 'MAIL', ID_B, 'by-name'],
    ['the name before a full name that begins with it', 'web-1', ID_B, 'web-1'],
    ['`*`, for the first label of several full names', 'db-1', ID_B, '*'],
    ['`*`, for the first label in another domain', 'app-1.other.example', ID_B, '*'],
    ['`*`, for what a host without a name is called', 'localhost', ID_B, '*'],
    ['`*`, for the name of an instance that is matched by `hostname`', 'by-name', ID_B, '*'],
    ['`*`, for the name of an instance that is matched by `machineId`', 'by-id', ID_B, '*'],
    ['`*`, for a name that only begins alike', 'web-10', ID_B, '*'],
    ['`*`, for a host without a machine id', 'db', '', '*'],
  ])('by %s', async (_how, hostname, machineId, expected) => {
    expect(findInstance(await policyOf(POLICY), { hostname, machineId })).toBe(expected);
  });

  test.each([
    ['the first label of several full names', 'db-1', ['db-1.one.example', 'db-1.two.example']],
    ['the first label in another domain', 'app-1.other.example', ['app-1.example.com']],
    ['no name of its own', 'localhost', []],
    ['a name of its own', 'web-10', []],
    ['the name of an instance', 'web-1', []],
    ['the first label of one full name', 'app-1', []],
  ])('tells which instances are alike for %s', async (_what, hostname, alike) => {
    expect(matchHost(await policyOf(POLICY), { hostname, machineId: ID_B }).alike).toEqual(alike);
  });

  test('says so where the host is `*`, and where it is none of them', async () => {
    const located = locateHost(await policyOf(POLICY), { hostname: 'db-1', machineId: '', interfaces: [] }, undefined);
    expect(located).toMatchObject({
      kind: 'found',
      hostPolicy: { instance: '*' },
      doubt: {
        message:
          'this host is the instance `*`, though its host name `db-1` is like that of `db-1.one.example` and `db-1.two.example`',
      },
    });
    const sure = locateHost(await policyOf(POLICY), { hostname: 'web-1', machineId: '', interfaces: [] }, undefined);
    expect(sure).toMatchObject({ hostPolicy: { instance: 'web-1' }, doubt: undefined });
    const policy = await policyOf(POLICY.replace('"*": {}', 'other: {}'));
    const absent = locateHost(policy, { hostname: 'db-1', machineId: '', interfaces: [] }, undefined);
    expect(absent).toMatchObject({
      kind: 'absent',
      help: expect.stringMatching(
        /^`db-1\.one\.example` and `db-1\.two\.example` have a similar name: distinguish them by `hostname`/,
      ),
    });
  });

  test('finds none where the policy has no `*`', async () => {
    const policy = await policyOf('version: 1\ninstances:\n  web-1: {}\n');
    expect(findInstance(policy, { hostname: 'db', machineId: '' })).toBeUndefined();
    expect(findInstance(policy, { hostname: 'web-1', machineId: '' })).toBe('web-1');
  });
});
