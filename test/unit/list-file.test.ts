import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedLines } from '#core/read/2-analyze/changed-lines.ts';
import { type ListContent, readListFile } from '#core/read/2-analyze/list-file.ts';

const FILE = '/etc/secgroupd/list.txt';

/** Few addresses, so that lines repeat, touch and overlap; and lines that are told of, or say nothing. */
const LINE = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 12 }).map((last) => `192.0.2.${last}`) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 12 }).map((last) => `2001:db8::${last.toString(16)}`) },
  fc.integer({ min: 0, max: 8 }).map((first) => `192.0.2.${first}-192.0.2.${first + 4}`),
  fc.constantFrom('192.0.2.0/30', '192.0.2.4/31', '2001:db8::/126', '', '# a comment', ' 192.0.2.7 # seven', '\r'),
  { weight: 1, arbitrary: fc.constantFrom('192.0.2.5/30', '192.0.2', 'example.com') },
);

const TEXT = fc
  .tuple(fc.array(LINE, { maxLength: 14 }), fc.boolean())
  .map(([lines, ended]) => `${lines.join('\n')}${ended ? '\n' : ''}`);

/** A text, and another that shares some of its lines. */
const EDIT = fc.oneof(
  fc.tuple(TEXT, TEXT),
  fc
    .tuple(fc.array(LINE, { maxLength: 14 }), fc.nat(14), fc.nat(3), fc.array(LINE, { maxLength: 3 }))
    .map(([lines, at, gone, come]): [string, string] => [
      `${lines.join('\n')}\n`,
      `${lines.toSpliced(at, gone, ...come).join('\n')}\n`,
    ]),
);

function read(text: string, before?: ListContent): ListContent {
  return readListFile({ file: FILE, text }, before);
}

describe('changedLines', () => {
  test('are whole lines, and all that differs lies in them', () => {
    fc.assert(
      fc.property(EDIT, ([before, after]) => {
        const { start, beforeEnd, afterEnd } = changedLines(before, after);
        expect(before.slice(0, start)).toBe(after.slice(0, start));
        expect(before.slice(beforeEnd)).toBe(after.slice(afterEnd));
        for (const [text, offset] of [
          [before, start],
          [after, start],
          [before, beforeEnd],
          [after, afterEnd],
        ] as const) {
          expect(offset === 0 || offset === text.length || text[offset - 1] === '\n').toBe(true);
          expect(offset).toBeGreaterThanOrEqual(start);
        }
      }),
    );
  });

  const line = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}\n`;
  const long = Array.from({ length: 10_000 }, (_, i) => line(i));

  test.each([
    ['an added line', long, long.toSpliced(7_000, 0, 'new\n'), '', 'new\n'],
    ['a line that went', long, long.toSpliced(7_000, 1), line(7_000), ''],
    ['a line that changed', long, long.with(3, 'new\n'), line(3), 'new\n'],
    ['a line at the beginning', long, ['new\n', ...long], '', 'new\n'],
    ['a line at the end', long, [...long, 'new\n'], '', 'new\n'],
    ['an empty line at the beginning that went', ['\n', 'a\n'], ['a\n'], '\n', ''],
    ['a line that begins like its neighbour', ['ab\n', 'ac\n'], ['ab\n', 'ab\n', 'ac\n'], '', 'ab\n'],
    ['a last line without its end', ['a\n', 'b\n'], ['a\n', 'b'], 'b\n', 'b'],
    ['nothing', long, long, '', ''],
    ['everything', ['a\n'], ['b\n'], 'a\n', 'b\n'],
  ])('are few: %s', (_, before, after, gone, come) => {
    const [one, other] = [before.join(''), after.join('')];
    const { start, beforeEnd, afterEnd } = changedLines(one, other);
    expect([one.slice(start, beforeEnd), other.slice(start, afterEnd)]).toEqual([gone, come]);
  });
});

describe('readListFile', () => {
  test('reads a changed text as if it had read no other before', () => {
    fc.assert(
      fc.property(EDIT, TEXT, ([first, second], third) => {
        let content = read(first);
        for (const text of [second, third, first]) {
          content = read(text, content);
          expect(content).toEqual(read(text));
        }
      }),
    );
  });

  test('keeps what stays: lists of a family that no line is about, and the entries of the others', () => {
    const before = read('192.0.2.1\n192.0.2.3\n2001:db8::1\n198.51.100.0/24\n');
    const after = read('192.0.2.1\n192.0.2.2\n192.0.2.3\n2001:db8::1\n198.51.100.0/24\n', before);
    expect(after.entries.ipv6.hosts).toBe(before.entries.ipv6.hosts);
    expect(after.entries.ipv4.ranges).toBe(before.entries.ipv4.ranges);
    expect(after.entries.ipv4.hosts).toHaveLength(3);
    expect(after.entries.ipv4.hosts[0]).toBe(before.entries.ipv4.hosts[0]);
    expect(after.entries.ipv4.hosts[2]).toBe(before.entries.ipv4.hosts[1]);
  });

  test('tells of a line at its place, whatever was read before', () => {
    const before = read('192.0.2.1\n192.0.2.2\n192.0.2.3\n');
    const [told] = read('192.0.2.1\n192.0.2.2\n\n  192.0.2.999 # no\n192.0.2.3\n', before).diagnostics;
    expect(told).toMatchObject({ code: 'bad-address', span: { file: FILE, line: 4, column: 3, endColumn: 14 } });
    expect(read('192.0.2.1\n192.0.2.2\n\n  192.0.2.99 # yes\n192.0.2.3\n', before).diagnostics).toEqual([]);
  });

  test('says a line that is there twice until both are gone', () => {
    const twice = read('192.0.2.1\n192.0.2.2\n192.0.2.1\n');
    const once = read('192.0.2.2\n192.0.2.1\n', twice);
    const none = read('192.0.2.2\n', once);
    expect([twice, once, none].map(({ entries }) => entries.ipv4.hosts.length)).toEqual([2, 2, 1]);
  });
});
