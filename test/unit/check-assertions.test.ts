import { describe, expect, test } from 'vitest';
import { loadPolicy } from '#core/load-policy.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import { overlapping } from '../bench/overlapping-policy.ts';

function readerOf(text: string): PolicyReader {
  const file = 'policy.yaml';
  return {
    readPolicy: () => Promise.resolve({ kind: 'text', file, text }),
    readDropIns: () => Promise.resolve({ read: [], passedOver: [] }),
    readList: () => Promise.resolve({ kind: 'unreadable', file, message: '', help: undefined, isUntrusted: false }),
  };
}

/** Patience that ends after so many steps, and how many were taken. */
function stepsUpTo(limit: number): { readonly patience: Patience; readonly taken: () => number } {
  let taken = 0;
  const patience: Patience = {
    seconds: 3,
    spend(steps) {
      taken += steps;
      if (taken > limit) throw new OutOfPatience();
    },
  };
  return { patience, taken: () => taken };
}

describe('the assertions of a policy', () => {
  const ports = Array.from(
    { length: 100 },
    (_, i) => `deny: { protocol: tcp, ports: "${2000 + i}-${3000 + i}", source: any }`,
  );

  test('cost together about what one costs', async () => {
    const [one, all] = [stepsUpTo(Number.POSITIVE_INFINITY), stepsUpTo(Number.POSITIVE_INFINITY)];
    await loadPolicy(readerOf(overlapping(1000, ports.slice(0, 1))), one.patience);
    const { policy } = await loadPolicy(readerOf(overlapping(1000, ports)), all.patience);
    expect(policy).toBeDefined();
    expect(one.taken()).toBeGreaterThan(1000);
    expect(all.taken()).toBeLessThan(4 * one.taken() + 100_000);
  });

  test('that could not be proved in time are refused, each by name, and not those that were', async () => {
    const text = overlapping(300, [
      'deny: { protocol: tcp, ports: 80, source: any }',
      'allow: { protocol: udp, ports: 53, source: any }',
    ]);
    const inTime = await loadPolicy(readerOf(text), ENDLESS);
    expect(inTime.diagnostics.map(({ code }) => code)).toEqual(['assertion-broken', 'assertion-broken']);
    const { policy, diagnostics } = await loadPolicy(readerOf(text), stepsUpTo(0).patience);
    expect(policy).toBeUndefined();
    expect(diagnostics.map(({ code, severity, span }) => [code, severity, span.line])).toEqual([
      ['assertion-unproved', 'error', 308],
      ['assertion-unproved', 'error', 309],
    ]);
    expect(diagnostics[0]?.message).toContain('could not be proved within 3 s');
    expect(diagnostics[0]?.help).toBeDefined();
  });

  test('take no patience where there are none', async () => {
    const { policy } = await loadPolicy(readerOf(overlapping(300, []).replace('assert:\n', '')), stepsUpTo(0).patience);
    expect(policy?.assertions).toEqual([]);
  });
});
