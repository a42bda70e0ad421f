import { expect, test } from 'vitest';
import { hostNotes } from '#cli/present/host-notes.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { parseDocument } from '#core/read/1-parse/parse-document.ts';
import { analyze } from '#core/read/2-analyze/analyze.ts';

const HOST: HostState = {
  hostname: 'web',
  machineId: '',
  interfaces: [
    { index: 1, name: 'lo', addresses: [] },
    { index: 2, name: 'eth0', addresses: [], altnames: ['enp3s0'] },
    { index: 3, name: 'eth1', addresses: [] },
  ],
};

function policyOf(instances: string): Policy {
  const text = `version: 1\nsecurityGroups: { g: {} }\ninstances: ${instances}\n`;
  const { document } = parseDocument({ file: 'p.yaml', text }, 'main');
  const policy = document === undefined ? undefined : analyze([document], new Map()).policy;
  if (policy === undefined) throw new Error('the policy is not valid');
  return policy;
}

const on = (pattern: string): string => `{ web: { interfaces: { "${pattern}": { securityGroups: [g] } } } }`;

test.each([['eth0'], ['enp3s0'], ['eth*'], ['*'], ['wlan*']])('nothing is noted of %s', (pattern) => {
  expect(hostNotes(policyOf(on(pattern)), HOST)).toEqual([]);
});

test('an interface that the host does not have', () => {
  expect(hostNotes(policyOf(on('eth9')), HOST)).toEqual([
    {
      message: 'this host has no interface `eth9`, which the instance `web` names',
      help: 'did you mean `eth0`? it has `eth0`, `eth1`',
    },
  ]);
  expect(hostNotes(policyOf(on('wan')), HOST)[0]?.help).toBe('it has `eth0`, `eth1`');
});

test('no instance is the host', () => {
  expect(hostNotes(policyOf(on('eth0').replace('web', 'db')), HOST)).toEqual([
    {
      message: 'no instance of the policy is this host (host name `web`, machine id ``)',
      help: 'if the policy is meant for it: name an instance like the host, give one its `hostname` or `machineId`, or add an instance `"*"`',
    },
  ]);
});
