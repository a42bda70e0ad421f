import { expect, test } from 'vitest';
import { countRecent, repairDelay, withRepair } from '#daemon/reconcile/drift.ts';

test('five repairs within a minute are made at once, more ever later, and a minute without ends it', () => {
  let repairs: readonly number[] = [];
  expect([repairDelay(repairs, 0), countRecent(repairs, 0)]).toEqual([0, 0]);
  for (let count = 1; count <= 5; count += 1) {
    repairs = withRepair(repairs, 0);
    expect([countRecent(repairs, 0), repairDelay(repairs, 0)]).toEqual([count, 0]);
  }
  const waits = Array.from({ length: 8 }, () => {
    repairs = withRepair(repairs, 0);
    return repairDelay(repairs, 0);
  });
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000, 20_000]);
  expect(repairDelay(repairs, 59_999)).toBe(20_000);
  expect([repairDelay(repairs, 60_000), countRecent(repairs, 60_000)]).toEqual([0, 0]);
});

test('however often a table is repaired, the memory of it stays bounded', () => {
  let repairs: readonly number[] = [];
  for (let at = 0; at < 1_000; at += 1) repairs = withRepair(repairs, at);
  expect(repairs.length).toBeLessThan(100);
  expect(repairDelay(repairs, 1_000)).toBe(20_000);
});
