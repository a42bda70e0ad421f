import { describe, expect, test } from 'vitest';
import type { CommandLine, Streams } from '#cli/framework/command.ts';
import { streamsOnto } from '#cli/framework/streams.ts';
import { workWithin } from '#cli/input/within-option.ts';
import { comparePolicies } from '#core/meaning/compare/compare-policies.ts';
import { policyReachability } from '#core/meaning/reach/policy-reachability.ts';
import { compareTable } from '#core/meaning/verify/compare-table.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { patienceOf } from '#host/patience.ts';
import { hostPolicyOf, policyOf } from '../netns/enforce.ts';

const AT_ONCE: Patience = {
  seconds: 0,
  spend: () => {
    throw new OutOfPatience();
  },
};

function policy(port: number): string {
  return `version: 1
securityGroups: { web: { inbound: [{ protocol: tcp, ports: ${port}, source: 192.0.2.0/24 }] } }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
`;
}

describe('work that is not waited for', () => {
  test('of a comparison names all that was not compared, and claims no difference there', async () => {
    const [before, after] = [await hostPolicyOf(policy(80)), await hostPolicyOf(policy(81))];
    const leftOut: string[] = [];
    const differences = comparePolicies(before, after, {
      patience: AT_ONCE,
      onLeftOut: (one) => leftOut.push(`${one.interface ?? 'others'} ${one.direction} ${one.family}`),
    });
    expect(differences).toEqual([]);
    expect(leftOut).toContain('eth0 inbound ipv4');
    expect(comparePolicies(before, after).length).toBeGreaterThan(0);
  });

  test('of who reaches whom names the interfaces of which it is not known', async () => {
    const { edges, leftOut } = policyReachability(await policyOf(policy(80)), AT_ONCE);
    expect([edges, leftOut.map(({ groups }) => groups)]).toEqual([[], [['web']]]);
    const whole = policyReachability(await policyOf(policy(80)));
    expect([whole.edges.length, whole.leftOut]).toEqual([1, []]);
  });

  test('of a comparison with the kernel is never taken for the same', async () => {
    const table = { chains: new Map(), sets: new Map(), maps: new Map(), revoked: 0 };
    const { compared, leftOut } = compareTable(await hostPolicyOf(policy(80)), table, AT_ONCE);
    expect(leftOut.map(({ direction, family }) => `${direction} ${family}`)).toContain('inbound ipv4');
    expect(compared).toBe(0);
  });
});

describe('the time that a command takes', () => {
  const lineOf = (within: string | undefined): CommandLine => ({
    positionals: [],
    text: () => within,
    given: () => false,
  });
  const terminal = (isTTY: boolean): { readonly streams: Streams; readonly written: () => string } => {
    let text = '';
    const output = { isTTY, write: (more: string) => void (text += more) };
    return { streams: streamsOnto({ out: { write: () => undefined }, err: output }, true), written: () => text };
  };

  /** Work that lasts as long as it is let. */
  const endless = (patience: Patience): never => {
    for (;;) patience.spend(1_000);
  };

  test.each(['0', '-1', '1.5', 'long', '86401', ''])('is no `%s`', async (within) => {
    const { streams } = terminal(true);
    await expect(workWithin(lineOf(within), { streams, what: 'work' }, () => 1)).rejects.toThrow(/--within is 1 to/);
  });

  test('ends at the limit, and is told on a terminal meanwhile', async () => {
    const { streams, written } = terminal(true);
    const about = { streams, what: 'counting' };
    await expect(workWithin(lineOf('2'), about, endless)).rejects.toThrow(OutOfPatience);
    expect(written()).toMatch(/\r\u001b\[Kcounting: \d s of 2 s at most\r\u001b\[K$/);
  });

  test('is told nowhere else', async () => {
    const { streams, written } = terminal(false);
    await expect(workWithin(lineOf('2'), { streams, what: 'counting' }, endless)).rejects.toThrow(OutOfPatience);
    expect([await workWithin(lineOf(undefined), { streams, what: 'work' }, () => 1), written()]).toEqual([1, '']);
  });

  test('is not over before it is', () => {
    expect(() => patienceOf(3_600).spend(1e9)).not.toThrow();
  });
});
