import { expect, test } from 'vitest';
import { createFight } from '#daemon/reconcile/fight.ts';

test('five within a minute are undone at once, more ever later, and a minute without ends it', () => {
  let now = 0;
  const fight = createFight(() => now);
  expect([fight.patience(), fight.isOn()]).toEqual([0, false]);
  for (let i = 1; i <= 5; i += 1) expect([fight.note(), fight.patience()]).toEqual([i, 0]);
  const waits = Array.from({ length: 8 }, () => {
    fight.note();
    return fight.patience();
  });
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000, 20_000]);
  now = 59_999;
  expect(fight.patience()).toBe(20_000);
  now = 60_000;
  expect([fight.patience(), fight.isOn()]).toEqual([0, false]);
});
