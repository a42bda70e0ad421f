import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument } from '#core/read/1-parse/parse-document.ts';
import { readWithLibrary } from '#core/read/yaml/library-reader.ts';
import { mendText } from '#core/read/yaml/mend-text.ts';
import { textPositions } from '#core/read/yaml/text-positions.ts';

describe('a mended text', () => {
  test('places are those of the text as it was written', () => {
    const text = 'a: {b\nc: d';
    const mended = mendText({ text, spanAt: textPositions({ file: 'p', text }) }, [
      { start: 5, end: 5, insert: '}}' },
      { start: 3, end: 4, insert: '' },
    ]);
    expect(mended.text).toBe('a: b}}\nc: d');
    const at = mended.text.indexOf('d');
    expect(mended.spanAt(at, at + 1)).toMatchObject({ line: 2, column: 4, endColumn: 5 });
    expect(mended.spanAt(3, 4)).toMatchObject({ line: 1, column: 5, endColumn: 6 });
  });

  test('an edit inside another is left out', () => {
    const text = 'abcd';
    const edits = [
      { start: 0, end: 3, insert: 'x' },
      { start: 1, end: 2, insert: 'y' },
    ];
    expect(mendText({ text, spanAt: textPositions({ file: 'p', text }) }, edits).text).toBe('xd');
  });

  test.each([
    'version: 1\nsecurityGroups: { web: {}\n',
    'version: 1\nsecurityGroups: !foo {}\n',
    'version: 1\nsecurityGroups: {}\n---\n',
    '%YAML 1.1\n---\nversion: 1\n',
    'version: 1\nlint\u0000: {}\n',
    'version 1\nlint: {}\n',
  ])('never becomes a document to enforce: %j', (text) => {
    const { document, diagnostics } = parseDocument({ file: 'p.yaml', text }, 'main');
    expect(document).toBeUndefined();
    expect(diagnostics.some(({ severity }) => severity === 'error')).toBe(true);
  });

  test('whatever characters a text has, what is mended is said', () => {
    const characters = fc.string({
      unit: fc.constantFrom(...'a 1 : - { } [ ] , " \' # ! & * @ | > ?'.split(' '), ' ', '\n', '\t', '\r', '\0'),
      maxLength: 40,
    });
    fc.assert(
      fc.property(characters, (text) => {
        let count = 0;
        const read = readWithLibrary(text, textPositions({ file: 'p', text }), () => {
          count += 1;
        });
        if (read === undefined || read.mended !== undefined) expect(count).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});
