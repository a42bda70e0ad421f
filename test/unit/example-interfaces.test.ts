import { describe, expect, test } from 'vitest';
import { changeToJson } from '#cli/present/format-change.ts';
import { changeEffects } from '#core/change-effects.ts';
import { loadPolicy } from '#core/load-policy.ts';
import { exampleInterface } from '#core/meaning/headerspace/witness.ts';
import { lintPolicy } from '#core/meaning/lint/lint-policy.ts';
import type { HostState } from '#core/model/policy/host.ts';
import { ENDLESS } from '#core/model/policy/patience.ts';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import { resolveHost } from '#core/read/3-resolve/host-policy.ts';
import { policyOf } from '../netns/enforce.ts';

function hostWith(...names: readonly string[]): HostState {
  const interfaces = ['lo', ...names].map((name, at) => ({ index: at + 1, name, addresses: [] }));
  return { hostname: 'a', machineId: '', interfaces };
}

/** A policy under which every interface that `pattern` names lets in all, by a rule. */
const open = (pattern: string, more = ''): string => `version: 1
securityGroups:
  web: { inbound: [{ protocol: all, source: any }] }
instances:
  a: { interfaces: { "${pattern}": { securityGroups: [web] } } }
${more}`;

describe('the interface of an example', () => {
  test.each<[string | undefined, readonly string[], readonly string[], string]>([
    ['*', ['*'], ['lo', 'ens3'], 'ens3'],
    ['ens*', ['ens*', '*'], ['lo', 'ens3'], 'ens3'],
    // What a more specific pattern judges is no example of a wider one.
    ['*', ['ens3', '*'], ['lo', 'ens3'], 'eth0'],
    ['*', ['ens*', '*'], ['lo', 'ens3', 'wlan0'], 'wlan0'],
    ['ens*', ['*', 'ens*', 'ens3'], ['lo', 'ens3', 'ens5'], 'ens5'],
    ['wlan*', ['wlan*'], ['lo', 'ens3'], 'wlan0'],
    ['eth0', ['eth0'], ['lo', 'ens3'], 'eth0'],
    ['*', ['*'], ['lo'], 'eth0'],
    ['*', ['eth0', 'eth*', '*'], [], 'other0'],
    [undefined, ['eth0'], ['lo', 'eth0', 'ens3'], 'ens3'],
    [undefined, ['eth0'], ['lo', 'eth0'], 'other0'],
  ])('of %j beside %j on a host with %j', (pattern, patterns, names, expected) => {
    expect(exampleInterface(pattern, patterns, names)).toBe(expected);
  });
});

describe.each<[string, string, string]>([
  ['*', 'ens3', 'eth0'],
  ['ens*', 'ens3', 'ens0'],
  ['wlan*', 'wlan0', 'wlan0'],
])('on a host with ens3, %s', (pattern, here, elsewhere) => {
  test.each([
    ['here', 'a', here],
    ['on another host', 'b', elsewhere],
  ])('is %s in what lint says', async (_, hostname, expected) => {
    const { findings } = lintPolicy(await policyOf(open(pattern)), { host: { ...hostWith('ens3'), hostname } });
    const shown = new Set(findings.flatMap(({ witness }) => witness?.packet.interface ?? []));
    expect([...shown]).toEqual([expected]);
  });

  test.each([
    ['named here', 'a', here === elsewhere ? undefined : here],
    ['not named on another host', 'b', undefined],
  ])('is %s where an assertion is broken, if it exists', async (_, hostname, expected) => {
    const text = open(pattern, 'assert: [{ deny: { protocol: tcp, ports: 23, source: any } }]');
    const reader: PolicyReader = {
      readPolicy: () => Promise.resolve({ kind: 'text', file: 'policy.yaml', text }),
      readDropIns: () => Promise.resolve({ read: [], passedOver: [] }),
      readList: () => Promise.reject(new Error('there is no list')),
    };
    const { diagnostics } = await loadPolicy(reader, ENDLESS, () => Promise.resolve({ ...hostWith('ens3'), hostname }));
    expect(diagnostics.map(({ code }) => code)).toEqual(['assertion-broken']);
    expect(/, on (\S+)$/.exec(diagnostics[0]?.message ?? '')?.[1]).toBe(expected);
  });

  test('is in what a plan would change', async () => {
    const host = hostWith('ens3');
    const after = await policyOf(open(pattern));
    const before = await policyOf(open(pattern).replace('protocol: all', 'protocol: tcp, ports: 22'));
    const [name] = [...after.instances.keys()];
    if (name === undefined) throw new Error('the policy has no instance');
    const change = { before: resolveHost(before, host, name), after: resolveHost(after, host, name) };
    const { changes } = changeToJson(
      changeEffects(change, { host, liveFlows: { kind: 'known', flows: [] }, session: undefined }, ENDLESS),
      host,
    ) as {
      readonly changes: readonly { readonly witness: { readonly interface: string } }[];
    };
    expect([...new Set(changes.map(({ witness }) => witness.interface))]).toEqual([here]);
  });
});
