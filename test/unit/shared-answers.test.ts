import { describe, expect, test } from 'vitest';
import { shareNext } from '#daemon/serve/share-next.ts';
import { createSharedAnswers } from '#daemon/serve/shared-answers.ts';

/** Answers that end when they are told to, and a clock that stands. */
function scene() {
  const time = { now: 0, revision: 1 };
  const answers = createSharedAnswers<number>({ revision: () => time.revision, now: () => time.now });
  const ends: (() => void)[] = [];
  let made = 0;
  const ask = (question = 'status'): Promise<number> =>
    answers.ask(question, () => {
      made += 1;
      const number = made;
      return new Promise((resolve) => ends.push(() => resolve(number)));
    });
  const end = async (): Promise<void> => {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { time, ask, end, atWork: () => ends.length };
}

describe('shared answers', () => {
  test('a question is at work once, whoever asks', async () => {
    const { ask, end, atWork } = scene();
    const asked = [ask(), ask(), ask('stats'), ask()];
    expect(atWork()).toBe(2);
    await end();
    await end();
    expect(await Promise.all(asked)).toEqual([1, 1, 2, 1]);
  });

  test('an answer stands for twenty times as long as it took, and two seconds at most', async () => {
    const { time, ask, end } = scene();
    const answered = async (): Promise<number> => {
      const one = ask();
      await end();
      return one;
    };
    const dear = ask();
    time.now = 5;
    await end();
    expect(await dear).toBe(1);
    time.now = 104;
    expect(await answered()).toBe(1);
    time.now = 105;
    const dearer = ask();
    time.now = 1_105;
    await end();
    expect(await dearer).toBe(2);
    time.now = 3_104;
    expect(await answered()).toBe(2);
    time.now = 3_105;
    expect(await answered()).toBe(3);
  });

  test('after a change there is no answer from before it, and still one at work at a time', async () => {
    const { time, ask, end, atWork } = scene();
    const before = ask();
    time.now = 1;
    time.revision = 2;
    const after = [ask(), ask()];
    expect(atWork()).toBe(1);
    await end();
    expect(await before).toBe(1);
    expect(atWork()).toBe(1);
    await end();
    expect(await Promise.all(after)).toEqual([2, 2]);
    time.revision = 3;
    const last = ask();
    await end();
    expect(await last).toBe(3);
  });

  test('a failure is told to all who share it, and not kept', async () => {
    const answers = createSharedAnswers<number>({ revision: () => 1, now: () => 0 });
    const failing = (): Promise<number> => Promise.reject(new Error('no'));
    const asked = [answers.ask('status', failing), answers.ask('status', failing)];
    for (const one of asked) await expect(one).rejects.toThrow('no');
    expect(await answers.ask('status', async () => 7)).toBe(7);
  });
});

test('work asked for while it is done is done once more, for all who asked, and never twice at a time', async () => {
  const ends: (() => void)[] = [];
  let done = 0;
  const run = shareNext(async () => {
    done += 1;
    await new Promise<void>((resolve) => ends.push(resolve));
  });
  const asked = [run(), run(), run()];
  expect([done, ends.length]).toEqual([1, 1]);
  ends.shift()?.();
  await asked[0];
  await new Promise((resolve) => setImmediate(resolve));
  expect([done, ends.length]).toEqual([2, 1]);
  ends.shift()?.();
  await Promise.all(asked);
  const later = run();
  expect(done).toBe(3);
  ends.shift()?.();
  await later;
});
