import { describe, expect, test } from 'vitest';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { diagnosticToJson } from '#core/diagnostics/diagnostic-json.ts';
import { formatDiagnostic, styleDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { masked, quote } from '#core/diagnostics/quote.ts';
import { diagnosticOf } from '#core/diagnostics/report.ts';
import type { Span } from '#core/model/policy/span.ts';

const ESC = '\u{1b}';
const span = (line: number, column: number, endColumn: number, endLine = line): Span => ({
  file: 'p.yaml',
  line,
  column,
  endLine,
  endColumn,
});
const unknown = (at: Span, more: Partial<Diagnostic> = {}): Diagnostic => ({
  ...diagnosticOf({ code: 'unknown-key', span: at, message: 'unknown key `prots`' }),
  ...more,
});
const format = (diagnostic: Diagnostic, text: string | undefined): string => formatDiagnostic(diagnostic, () => text);

describe('formatDiagnostic', () => {
  const text = 'version: 1\n  prots: 22\nlast';

  test('place, code, message, frame and help', () => {
    expect(format(unknown(span(2, 3, 8), { help: 'did you mean `ports`?' }), text)).toBe(
      [
        'p.yaml:2:3: error[unknown-key]: unknown key `prots`',
        '2 |   prots: 22',
        '  |   ^^^^^',
        'help: did you mean `ports`?',
      ].join('\n'),
    );
  });

  test('a warning, and related places as notes', () => {
    const diagnostic = diagnosticOf({
      code: 'yaml-warning',
      span: span(12, 1, 5),
      message: 'doubtful',
      help: 'make it plain',
      related: [{ span: span(2, 3, 8), message: 'first here' }],
    });
    expect(format(diagnostic, `version: 1\n  prots: 22\n${'\n'.repeat(9)}last`)).toBe(
      [
        'p.yaml:12:1: warning[yaml-warning]: doubtful',
        '12 | last',
        '   | ^^^^',
        'help: make it plain',
        'p.yaml:2:3: note: first here',
        '2 |   prots: 22',
        '  |   ^^^^^',
      ].join('\n'),
    );
  });

  const first = (diagnostic: Diagnostic, source: string): string[] => format(diagnostic, source).split('\n').slice(1);
  test.each<readonly [string, Span, string, readonly string[]]>([
    [
      'carets run to the end of the first of several lines',
      span(2, 3, 4, 3),
      text,
      ['2 |   prots: 22', '  |   ^^^^^^^^^'],
    ],
    ['an empty place has one caret', span(2, 10, 10), text, ['2 |   prots: 22', '  |          ^']],
    ['a place beyond the end stands at it', span(1, 99, 100), 'abc', ['1 | abc', '  |    ^']],
    ['an empty line', span(1, 1, 1), '', ['1 |', '  | ^']],
    ['tabs are one column', span(1, 3, 4), '\t\tx', ['1 |   x', '  |   ^']],
    [
      'a byte-order mark and a carriage return are no characters',
      span(1, 1, 4),
      '\u{feff}abc\r\nd',
      ['1 | abc', '  | ^^^'],
    ],
    ['a surrogate pair is one character', span(1, 5, 6), '"😀" x', ['1 | "😀" x', '  |     ^']],
    [
      'controls and bidi overrides never reach the terminal',
      span(1, 5, 6),
      `${ESC}[2J\u{202e}\u{9b}x`,
      ['1 | \u{fffd}[2J\u{fffd}\u{fffd}x', '  |     ^'],
    ],
  ])('%s', (_name, at, source, lines) => expect(first(unknown(at), source)).toEqual(lines));

  test('a long line is cut around the caret', () => {
    const line = `${'a'.repeat(300)}HERE${'b'.repeat(300)}`;
    expect(first(unknown(span(1, 301, 305)), line)).toEqual([
      `1 | …${'a'.repeat(40)}HERE${'b'.repeat(56)}…`,
      `  | ${' '.repeat(41)}^^^^`,
    ]);
    expect(first(unknown(span(1, 1, 2)), line)).toEqual([`1 | ${'a'.repeat(100)}…`, '  | ^']);
    expect(first(unknown(span(1, 604, 605)), line)).toEqual([`1 | …${'b'.repeat(100)}`, `  | ${' '.repeat(100)}^`]);
    expect(first(unknown(span(1, 301, 605)), line)[1]).toBe(`  | ${' '.repeat(41)}${'^'.repeat(60)}`);
  });

  test('no frame without a text, or for a line that is not there', () => {
    expect(format(unknown(span(2, 3, 8)), undefined)).toBe('p.yaml:2:3: error[unknown-key]: unknown key `prots`');
    expect(format(unknown(span(9, 3, 8)), text)).toBe('p.yaml:9:3: error[unknown-key]: unknown key `prots`');
  });

  test('names and messages are as harmless as lines', () => {
    const hostile = diagnosticOf({
      code: 'unknown-key',
      span: { ...span(1, 1, 2), file: `a${ESC}[2J.yaml` },
      message: `x${ESC}]0;y\u{7}`,
      help: `h\n${ESC}c`,
      related: [{ span: { ...span(1, 1, 2), file: 'b\nc' }, message: `n\r${ESC}c` }],
    });
    expect(format(hostile, undefined).split('\n')).toEqual([
      'a\\u001b[2J.yaml:1:1: error[unknown-key]: x\\u001b]0;y\\u0007',
      'help: h \\u001bc',
      'b\\u000ac:1:1: note: n\\u000d\\u001bc',
    ]);
  });

  test('says which parts stand out', () => {
    expect(styleDiagnostic(unknown(span(2, 3, 8), { help: 'h' }), () => text)).toEqual([
      'p.yaml:2:3: ',
      { style: 'error', text: 'error[unknown-key]' },
      ': ',
      { style: 'strong', text: 'unknown key `prots`' },
      '\n',
      { style: 'frame', text: '2 |' },
      '   prots: 22\n',
      { style: 'frame', text: '  |' },
      '   ',
      { style: 'error', text: '^^^^^' },
      '\n',
      { style: 'help', text: 'help' },
      ': h',
    ]);
  });
});

test('diagnosticToJson has every key of the contract', () => {
  const related = [{ span: span(1, 2, 3), message: 'first here' }];
  expect(diagnosticToJson(unknown(span(2, 3, 8), { related }))).toEqual({
    code: 'unknown-key',
    severity: 'error',
    message: 'unknown key `prots`',
    file: 'p.yaml',
    line: 2,
    column: 3,
    help: null,
    related: [{ message: 'first here', file: 'p.yaml', line: 1, column: 2 }],
  });
  expect(diagnosticToJson(unknown(span(2, 3, 8), { help: 'h' })).help).toBe('h');
});

test.each([
  ['web', '`web`'],
  ['', '``'],
  ['a\nb\tc', '`a b c`'],
  [`${ESC}[31m`, '`\u{fffd}[31m`'],
  ['\u{d800}', '`\u{fffd}`'],
  ['x'.repeat(60), `\`${'x'.repeat(60)}\``],
  ['x'.repeat(61), `\`${'x'.repeat(59)}…\``],
  ['😀'.repeat(70), `\`${'😀'.repeat(59)}…\``],
])('quote %j', (text, quoted) => expect(quote(text)).toBe(quoted));

test('masked keeps the count of characters', () => {
  const text = `a\t${ESC}\u{200d}\u{2028}é漢😀`;
  expect(Array.from(masked(text))).toHaveLength(Array.from(text).length);
});
