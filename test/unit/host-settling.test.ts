import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FileError, type FileText } from '#host/files/policy-files.ts';
import { createSettling, type Settling } from '#host/files/settling.ts';
import type { Evidence, FilePlace } from '#host/files/write-evidence.ts';

const FILE = '/etc/secgroupd/list.txt';
const PLACE: FilePlace = { steps: [], target: { kind: 'file', identity: '1', signature: '' } };
const OLD = '192.0.2.1\n';

let evidence: Evidence | 'moving';
let isOpen: boolean;
let forgotten: number;
let settling: Settling;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'Date'], now: 1_000_000 });
  evidence = 'none';
  isOpen = false;
  forgotten = 0;
  settling = createSettling({
    judge: async () => ({
      evidence: evidence === 'moving' ? 'unknown' : evidence,
      place: evidence === 'moving' ? undefined : PLACE,
    }),
    isOpen: async () => isOpen,
    forget: () => {
      forgotten += 1;
    },
  });
});
afterEach(() => {
  vi.useRealTimers();
});

function fileOf(text: string, changedAt = 0): FileText {
  return { path: FILE, text, signature: text, changedAt, readAt: 0 };
}

/** What a file that holds `text` is read as; undefined where it is not there yet. */
async function take(
  text: string,
  { isOptional = false, isList = true, changedAt = 0 } = {},
): Promise<string | undefined> {
  settling.begin();
  return (await settling.take({ file: FILE, read: async () => fileOf(text, changedAt), isOptional, isList }))?.text;
}

/** Why the file is waited for, and whether the policy has to wait with it. */
function waiting(): readonly unknown[] {
  return settling.waiting().map(({ reason, until, isNeeded }) => [reason, until !== undefined, isNeeded]);
}

describe('a file that was read before', () => {
  beforeEach(async () => {
    expect(await take(OLD)).toBe(OLD);
    expect([waiting(), forgotten]).toEqual([[], 1]);
  });

  test.each<[string, Evidence, string]>([
    ['put there whole', 'replaced', '198.51.100.1\n'],
    ['put there whole, ending amid a line', 'replaced', '198.51.100.1'],
    ['put there empty', 'replaced', ''],
    ['closed after a whole line', 'closed', '198.51.100.1\n'],
    ['closed with Windows ends of lines', 'closed', '198.51.100.1\r\n'],
  ])('counts at once where it was %s', async (_, found, text) => {
    evidence = found;
    expect(await take(text)).toBe(text);
    expect([waiting(), forgotten]).toEqual([[], 2]);
  });

  test.each<[string, Evidence, string, string, number]>([
    ['closed amid a line', 'closed', '198.51.100.1', 'unfinished-line', 10_000],
    ['closed empty', 'closed', '', 'empty', 10_000],
    ['closed with comments alone', 'closed', '# list\n \t\n  # of\r\n#', 'empty', 10_000],
    ['maybe written in place', 'unknown', '198.51.100.1\n', 'written', 2_000],
    ['maybe written in place, ending amid a line', 'unknown', '198.51.100.1', 'unfinished-line', 10_000],
    ['maybe written in place, and empty', 'unknown', '\n', 'empty', 10_000],
  ])('counts after a while where it was %s', async (_, found, text, reason, milliseconds) => {
    evidence = found;
    expect(await take(text)).toBe(OLD);
    vi.advanceTimersByTime(milliseconds - 1);
    expect(await take(text)).toBe(OLD);
    expect(waiting()).toEqual([[reason, true, false]]);
    expect(settling.waiting()[0]?.lookAgain).toBe(1);
    vi.advanceTimersByTime(1);
    expect(await take(text)).toBe(text);
    expect(waiting()).toEqual([]);
  });

  test('that changes again is waited for anew', async () => {
    evidence = 'unknown';
    await take('198.51.100.1\n');
    vi.advanceTimersByTime(1_999);
    expect(await take('198.51.100.1\n198.51.100.2\n')).toBe(OLD);
    vi.advanceTimersByTime(1_999);
    expect(await take('198.51.100.1\n198.51.100.2\n')).toBe(OLD);
    vi.advanceTimersByTime(1);
    expect(await take('198.51.100.1\n198.51.100.2\n')).toBe('198.51.100.1\n198.51.100.2\n');
  });

  test.each(['198.51.100.1\n', '198.51.100.1', ''])('whose writer has it open never counts as %j', async (text) => {
    evidence = 'open';
    for (let minute = 0; minute < 60; minute += 1) {
      expect(await take(text)).toBe(OLD);
      expect(waiting()).toEqual([['open', false, false]]);
      vi.advanceTimersByTime(60_000);
    }
    evidence = 'closed';
    expect(await take('198.51.100.1\n')).toBe('198.51.100.1\n');
  });

  test('is not even read while its writer is known to have it open', async () => {
    isOpen = true;
    settling.begin();
    const read = vi.fn<() => Promise<FileText>>();
    expect((await settling.take({ file: FILE, read, isOptional: false, isList: true }))?.text).toBe(OLD);
    expect(read).not.toHaveBeenCalled();
    expect(waiting()).toEqual([['open', false, false]]);
  });

  test('counts at once when it says again what it said', async () => {
    evidence = 'open';
    await take('');
    expect(await take(OLD)).toBe(OLD);
    expect(waiting()).toEqual([]);
  });

  test('and changes while it is read is looked at again soon, and never taken for finished', async () => {
    evidence = 'moving';
    for (let look = 0; look < 100; look += 1) {
      expect(await take('198.51.100.1\n')).toBe(OLD);
      expect(settling.waiting()[0]?.lookAgain).toBe(50);
      vi.advanceTimersByTime(50);
    }
    const changing = new FileError({ kind: 'changing', path: FILE, message: '', hint: '' });
    settling.begin();
    const read = () => Promise.reject(changing);
    expect((await settling.take({ file: FILE, read, isOptional: false, isList: true }))?.text).toBe(OLD);
  });

  test('and is gone is an error; what it said does not come back with it', async () => {
    const missing = new FileError({ kind: 'missing', path: FILE, message: '', hint: '' });
    settling.begin();
    await expect(
      settling.take({ file: FILE, read: () => Promise.reject(missing), isOptional: false, isList: true }),
    ).rejects.toBe(missing);
    evidence = 'open';
    await take('198.51.100.1');
    expect(waiting()).toEqual([['open', false, true]]);
  });

  test('may be empty where it was', async () => {
    evidence = 'replaced';
    await take('# none\n');
    evidence = 'closed';
    expect(await take('# still none\n')).toBe('# still none\n');
  });

  test('is forgotten when several readings have not asked for it, and not when one has failed to', async () => {
    settling.begin();
    settling.begin();
    evidence = 'open';
    expect(await take('198.51.100.1')).toBe(OLD);
    for (let reading = 0; reading < 4; reading += 1) settling.begin();
    await take('198.51.100.1');
    expect(waiting()).toEqual([['open', false, true]]);
  });
});

describe('a file that is read for the first time', () => {
  test('counts at once where nothing was noticed and it is whole, however young', async () => {
    expect(await take(OLD, { changedAt: Date.now() })).toBe(OLD);
  });

  test.each<[string, string, number]>([
    ['ending amid a line', '198.51.100.1', 0],
    ['empty', '', 0],
    ['by a clock that is ahead', '198.51.100.1', 60_000],
  ])('is waited for, with the policy, for ten seconds since it changed, %s', async (_, text, ahead) => {
    const changedAt = Date.now() - (ahead > 0 ? 0 : 4_000) + ahead;
    await take(text, { changedAt });
    expect(waiting()).toEqual([[text === '' ? 'empty' : 'unfinished-line', true, true]]);
    vi.advanceTimersByTime(ahead > 0 ? 9_999 : 5_999);
    await take(text, { changedAt });
    expect(waiting()).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(await take(text, { changedAt })).toBe(text);
    expect(waiting()).toEqual([]);
  });

  test('counts at once where it has been so for long', async () => {
    expect(await take('198.51.100.1', { changedAt: Date.now() - 10_000 })).toBe('198.51.100.1');
    expect(waiting()).toEqual([]);
  });

  test('is not there yet where it is a drop-in that is being made, and needed where it may have been there', async () => {
    evidence = 'open';
    expect(await take('securityGroups:', { isOptional: true })).toBeUndefined();
    expect(waiting()).toEqual([['open', false, false]]);
    evidence = 'none';
    expect(await take('securityGroups:', { isOptional: true, changedAt: Date.now() })).toBe('securityGroups:');
    expect(waiting()).toEqual([['unfinished-line', true, true]]);
  });

  test('counts as it is when that is accepted', async () => {
    evidence = 'open';
    await take('198.51.100.1');
    settling.accept();
    expect(await take('198.51.100.1')).toBe('198.51.100.1');
    expect(waiting()).toEqual([]);
  });

  const refused = expect.objectContaining({ kind: 'unfinished', path: FILE });

  test('and that a writer keeps open counts after two seconds of quiet where it ends with a line, and again when it is closed', async () => {
    evidence = 'open';
    await take(OLD);
    expect(waiting()).toEqual([['open', true, true]]);
    vi.advanceTimersByTime(1_999);
    await take(OLD);
    expect(waiting()).toHaveLength(1);
    expect(settling.waiting()[0]?.lookAgain).toBe(1);
    vi.advanceTimersByTime(1);
    expect(await take(OLD)).toBe(OLD);
    expect(waiting()).toEqual([]);
    isOpen = true;
    vi.advanceTimersByTime(3_600_000);
    expect(await take('198.51.100.1\n')).toBe(OLD);
    expect(waiting()).toEqual([['open', false, false]]);
    isOpen = false;
    evidence = 'closed';
    expect(await take('198.51.100.1\n')).toBe('198.51.100.1\n');
    expect(waiting()).toEqual([]);
  });

  test.each<[string, Evidence, string, boolean]>([
    ['open amid a line', 'open', '198.51.100.1', true],
    ['open and empty', 'open', '', true],
    ['open with comments alone', 'open', '# list\n', true],
    ['an open document', 'open', 'version: 1\n', false],
  ])('is refused after ten seconds, and the policy no longer waits: %s', async (_, found, text, isList) => {
    evidence = found;
    await take(text, { isList });
    expect(waiting()).toEqual([['open', false, true]]);
    vi.advanceTimersByTime(9_999);
    await take(text, { isList });
    expect(waiting()).toEqual([['open', false, true]]);
    expect(settling.waiting()[0]?.lookAgain).toBe(1);
    vi.advanceTimersByTime(1);
    for (let look = 0; look < 3; look += 1) {
      await expect(take(text, { isList })).rejects.toEqual(refused);
      expect(waiting()).toEqual([['open', false, false]]);
      expect(settling.waiting()[0]?.lookAgain).toBe(5_000);
      vi.advanceTimersByTime(60_000);
    }
    evidence = 'closed';
    expect(await take('198.51.100.1\n', { isList })).toBe('198.51.100.1\n');
    expect(waiting()).toEqual([]);
  });

  test('counts, refused before, when its writer ends the line, open or not', async () => {
    evidence = 'open';
    await take('198.51.100.1');
    vi.advanceTimersByTime(10_000);
    await expect(take('198.51.100.1')).rejects.toEqual(refused);
    expect(await take('198.51.100.1\n')).toBe('198.51.100.1\n');
    expect(waiting()).toEqual([]);
  });

  test.each<Evidence>(['open', 'unknown'])(
    'and never quiet (%s) counts as it is after ten seconds where it ends with a line, and is refused where not',
    async (found) => {
      evidence = found;
      let text = '';
      for (let second = 0; second < 10; second += 1) {
        text += '198.51.100.1\n';
        await take(text);
        expect(waiting()).toMatchObject([[expect.any(String), true, true]]);
        vi.advanceTimersByTime(1_000);
      }
      await expect(take(`${text}198.51`)).rejects.toEqual(refused);
      expect(await take(`${text}198.51.100.2\n`)).toBe(`${text}198.51.100.2\n`);
    },
  );

  test('and changes whenever it is read is refused after ten seconds', async () => {
    evidence = 'moving';
    await take(OLD);
    expect(waiting()).toEqual([['written', true, true]]);
    vi.advanceTimersByTime(10_000);
    await expect(take(OLD)).rejects.toEqual(refused);
    expect(waiting()).toMatchObject([['written', expect.anything(), false]]);
  });
});
