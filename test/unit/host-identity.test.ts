import { describe, expect, test } from 'vitest';
import type { HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { LocatedHost } from '#core/read/3-resolve/locate-host.ts';
import { identifyHost } from '#daemon/reconcile/host-identity.ts';
import { type HostIdentity, INITIAL_STATE } from '#daemon/reconcile/state.ts';
import { policyOf } from '../netns/enforce.ts';

const ID = '0123456789abcdef0123456789abcdef';

const POLICY = `version: 1
instances:
  web-1: {}
  lab-box: {}
  by-id: { machineId: ${ID} }
  "*": {}
`;

const ANEW = true;

/** A host that is looked for again and again. */
class HostFinder {
  readonly warnings: string[] = [];
  #identity: HostIdentity = INITIAL_STATE.identity;
  readonly #instance: string | undefined;

  constructor(instance?: string) {
    this.#instance = instance;
  }

  find(policy: Policy, host: HostState, isAnew: boolean): LocatedHost {
    const question = { policy, host, instance: this.#instance, isAnew, now: new Date(0) };
    const { located, identity, warnings } = identifyHost(this.#identity, question);
    this.#identity = identity;
    this.warnings.push(...warnings.map(({ message }) => message));
    return located;
  }

  doubt(): HostIdentity['doubt'] {
    return this.#identity.doubt;
  }
}

function finderOf(instance?: string): { readonly finder: HostFinder; readonly warnings: readonly string[] } {
  const finder = new HostFinder(instance);
  return { finder, warnings: finder.warnings };
}

/** The instance that a host of this name is found to be. */
function find(finder: HostFinder, policy: Policy, hostname: string, anew = false): string | undefined {
  const located = finder.find(policy, { hostname, machineId: '', interfaces: [] }, anew);
  return located.kind === 'found' ? located.hostPolicy.instance : undefined;
}

describe('a host whose name changes', () => {
  test.each([
    ['that of another instance', 'lab-box', 'the instance `lab-box`'],
    ['one that no instance has', 'localhost', 'the instance `*`'],
  ])('stays the instance that it is, and it is told: to %s', async (_to, hostname, wouldBe) => {
    const policy = await policyOf(POLICY);
    const { finder, warnings } = finderOf();
    expect(find(finder, policy, 'web-1')).toBe('web-1');
    expect(finder.doubt()).toBeUndefined();
    for (let round = 0; round < 2; round += 1) expect(find(finder, policy, hostname)).toBe('web-1');
    const message = `the host name is \`${hostname}\` now, by which this host would be ${wouldBe}; it stays \`web-1\`, which it was by the name \`web-1\`, until a reload or a restart`;
    expect(finder.doubt()?.message).toBe(message);
    expect(warnings).toEqual([message]);
    expect(find(finder, policy, 'web-1')).toBe('web-1');
    expect(finder.doubt()).toBeUndefined();
  });

  test('stays it whatever else the policy says, and is found anew where that has the instance no more', async () => {
    const { finder, warnings } = finderOf();
    expect(find(finder, await policyOf(POLICY), 'web-1')).toBe('web-1');
    expect(find(finder, await policyOf(`${POLICY}  more: {}\n`), 'lab-box')).toBe('web-1');
    expect(find(finder, await policyOf(POLICY.replace('web-1', 'web-2')), 'lab-box')).toBe('lab-box');
    expect(warnings.at(-1)).toBe(
      'the host name is `lab-box` now: this host is the instance `lab-box`, no longer `web-1`',
    );
    expect(finder.doubt()).toBeUndefined();
  });

  test('is found anew by a reload', async () => {
    const policy = await policyOf(POLICY);
    const { finder, warnings } = finderOf();
    expect(find(finder, policy, 'web-1')).toBe('web-1');
    expect(find(finder, policy, 'lab-box', ANEW)).toBe('lab-box');
    expect(finder.doubt()).toBeUndefined();
    expect(warnings).toEqual([
      'the host name is `lab-box` now: this host is the instance `lab-box`, no longer `web-1`',
    ]);
    expect(find(finder, policy, 'web-1')).toBe('lab-box');
  });

  test('follows its name while it is `*`, which may be set after the start', async () => {
    const policy = await policyOf(POLICY);
    const { finder, warnings } = finderOf();
    expect(find(finder, policy, 'localhost')).toBe('*');
    expect(find(finder, policy, 'web-1')).toBe('web-1');
    expect(warnings).toHaveLength(1);
    expect(find(finder, policy, 'lab-box')).toBe('web-1');
  });

  test('is what its machine id or the command line says, without a word', async () => {
    const policy = await policyOf(POLICY);
    const [byId, named] = [finderOf(), finderOf('web-1')];
    for (const hostname of ['web-1', 'lab-box']) {
      const located = byId.finder.find(policy, { hostname, machineId: ID, interfaces: [] }, false);
      expect(located).toMatchObject({ hostPolicy: { instance: 'by-id' } });
      expect(find(named.finder, policy, hostname)).toBe('web-1');
    }
    expect([byId.warnings, named.warnings]).toEqual([[], []]);
  });
});

test('a host that is `*` and called like instances is told', async () => {
  const policy = await policyOf(POLICY.replace('web-1: {}', 'web-1.one.example: {}\n  web-1.two.example: {}'));
  const { finder, warnings } = finderOf();
  expect(find(finder, policy, 'web-1')).toBe('*');
  expect(warnings).toEqual([
    expect.stringContaining('like that of `web-1.one.example` and `web-1.two.example`; if it'),
  ]);
  expect(finder.doubt()?.message).toBe(warnings[0]);
});
