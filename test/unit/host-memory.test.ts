import { expect, test } from 'vitest';
import { createMemoryRelease } from '#host/memory.ts';

test('what nobody uses any more is given back, and what somebody does is not', () => {
  const release = createMemoryRelease();
  const make = (): readonly { readonly text: string }[] =>
    Array.from({ length: 300_000 }, (_, i) => ({ text: `entry ${i}` }));
  const kept = make();
  release();
  const before = process.memoryUsage().heapUsed;
  let garbage: unknown = make();
  expect(process.memoryUsage().heapUsed - before).toBeGreaterThan(10_000_000);
  garbage = undefined;
  release();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(5_000_000);
  expect([kept.length, kept.at(-1)?.text, garbage]).toEqual([300_000, 'entry 299999', undefined]);
});
