import { describe, expect, test } from 'vitest';
import { coverageOf, whyUnprotected } from '#core/meaning/unprotected-host.ts';
import type { Binding } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';

const host = (...names: readonly string[]): Parameters<typeof coverageOf>[1] => ({
  interfaces: ['lo', ...names].map((name, index) => ({ index, name, addresses: [] })),
});

/** A host with eth0 in a device of this kind. */
const masteredBy = (kind: string): Parameters<typeof coverageOf>[1] => ({
  interfaces: [
    { index: 1, name: 'eth0', addresses: [], master: 2 },
    { index: 2, name: 'br0', addresses: [], kind },
  ],
});
const BRIDGED = masteredBy('bridge');

function policy(
  patterns: readonly string[],
  unmanagedInterfaces: 'allow' | 'deny' = 'allow',
): Parameters<typeof coverageOf>[0] {
  const bindings = patterns.map(
    (pattern): Binding => ({
      pattern: pattern as InterfacePattern,
      groups: [],
      invalid: 'drop',
      inbound: [],
      outbound: [],
    }),
  );
  return { bindings, unmanagedInterfaces };
}

describe('a host', () => {
  test.each([
    ['whose interface is named', policy(['eth0']), host('eth0')],
    ['whose interface a glob names', policy(['et*']), host('eth0')],
    ['one of whose interfaces is named', policy(['eth0']), host('eth0', 'docker0')],
    ['that denies what is not named', policy(['eth9'], 'deny'), host('eth0')],
    ['whose bridge is named', policy(['br0', 'eth0']), BRIDGED],
    ['in whose VRF one is named', policy(['eth0']), masteredBy('vrf')],
    ['without interfaces', policy(['eth0']), host()],
  ])('%s is protected', (_what, of, at) => {
    expect(whyUnprotected(of, at)).toBeUndefined();
  });

  test.each([
    ['by a slip', policy(['etg0']), host('eth0', 'wlan0'), 'did you mean `eth0`, not `etg0`?'],
    ['where it has one', policy(['enp3s0']), host('eth1'), 'did you mean `eth1`, not `enp3s0`?'],
    ['where nobody can tell', policy(['enp3s0']), host('wlan0', 'br7'), 'name the interface to filter'],
    ['by an instance that names none', policy([]), host('eth0'), 'name the interface to filter'],
    ['but a port of a bridge', policy(['eth0']), BRIDGED, 'did you mean `br0`, not `eth0`?'],
    ['but lo', policy(['lo']), host('eth0'), 'did you mean `eth0`, not `lo`?'],
  ])('none of whose interfaces is named %s is not', (_what, of, at, help) => {
    const why = whyUnprotected(of, at);
    expect(why?.message).toMatch(/^NOT PROTECTED: /);
    expect(why?.help).toContain(help);
  });
});

test('a glob whose interfaces are all named more exactly is absent', () => {
  expect(coverageOf(policy(['eth0', 'eth*', 'wlan*']), host('eth0', 'br0'))).toEqual({
    absent: ['eth*', 'wlan*'],
    idle: [],
    unnamed: ['br0'],
    isProtected: true,
  });
});
