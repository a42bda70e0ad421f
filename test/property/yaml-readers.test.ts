import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { reportTo } from '#core/diagnostics/report.ts';
import { readFast, type SoundYaml } from '#core/read/yaml/fast-reader.ts';
import { readWithLibrary } from '#core/read/yaml/library-reader.ts';
import { nodePositions, type Path } from '#core/read/yaml/node-positions.ts';
import { textPositions } from '#core/read/yaml/text-positions.ts';
import { isMapping, type YamlValue } from '#core/read/yaml/yaml-value.ts';
import { policyText } from '../bench/generated-policy.ts';
import { mutationsOf, YAML_DOCUMENT, YAML_TOKENS } from './arbitrary-yaml.ts';

/** Every path into a value, and some that lead nowhere. */
function pathsOf(value: YamlValue, path: Path = []): readonly Path[] {
  if (Array.isArray(value)) {
    const items = value as readonly YamlValue[];
    return [path, [...path, items.length], [...path, 'x'], ...items.flatMap((item, i) => pathsOf(item, [...path, i]))];
  }
  if (!isMapping(value)) return [path, [...path, 0], [...path, 'x']];
  const entries = Object.entries(value);
  return [path, [...path, 'nowhere', 0], ...entries.flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

/** Holds the fast reader against the library; whether the fast reader took the text at all. */
function compare(text: string): boolean {
  const spanAt = textPositions({ file: 'p.yaml', text });
  const diagnostics: Diagnostic[] = [];
  const plain = readFast(text);
  if (plain === undefined) return false;
  const any = readWithLibrary(text, spanAt, reportTo(diagnostics));
  expect({ text, diagnostics }).toEqual({ text, diagnostics: [] });
  if (any === undefined) throw new Error('the library refused a document and reported nothing');
  expect({ text, value: JSON.stringify(plain.value) }).toEqual({ text, value: JSON.stringify(any.value) });
  const spansOf = ({ marks }: SoundYaml): string => {
    const { spanOf, keySpanOf } = nodePositions(marks, spanAt);
    return JSON.stringify(pathsOf(any.value).map((path) => [path, spanOf(path), keySpanOf(path)]));
  };
  if (spansOf(plain) !== spansOf(any)) {
    expect({ text, spans: JSON.parse(spansOf(plain)) as unknown }).toEqual({ text, spans: JSON.parse(spansOf(any)) });
  }
  return true;
}

const FILES = ['test/golden', 'config', 'vagrant']
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)))
  .filter((file) => file.endsWith('.yaml'))
  .toSorted();

/** Whether a text is well-formed YAML of which the library reports nothing, and has content. */
function isSound(text: string): boolean {
  const diagnostics: Diagnostic[] = [];
  const read = readWithLibrary(text, textPositions({ file: 'p.yaml', text }), reportTo(diagnostics));
  return diagnostics.length === 0 && read !== undefined && read.value !== null;
}

/** Well-formed files with features that sound policies hardly need, such as keys without a colon in braces. */
const OTHERS = /diagnostics\/(?:commas-without-quotes|mistakes-of-other-tools|mistakes-whole-file)\//;

describe('the fast reader', () => {
  test.each(FILES.filter((file) => !OTHERS.test(file) && isSound(readFileSync(file, 'utf8'))))('takes %s', (file) => {
    expect(compare(readFileSync(file, 'utf8'))).toBe(true);
  });

  test.each(['ipv4', 'ipv6'] as const)('takes a policy of many rules for %s', (family) => {
    expect(compare(policyText({ rules: 300, family, groups: true }))).toBe(true);
  });

  test.each([
    ['JSON', JSON.stringify({ version: 1, a: { b: [1, true, null, 'x', {}, []], 'c d': '' } })],
    ['JSON on lines', JSON.stringify({ version: 1, a: { b: [1, true, null, 'x', {}, []], 'c d': '' } }, undefined, 2)],
    ['Windows lines', 'a: 1 # one\r\nb:\r\n  - c\r\n'],
    ['lists at the column of their key', 'a:\n- b: 1\n  c: 2\n- d\ne: 3'],
    ['a document marker', '---\n# a\na: b'],
    ['comments wherever', '# a\n\na: # b\n   # c\n  - b # d\n # e\n  - c\n# f'],
  ])('takes %s', (_what, text) => {
    expect(compare(text)).toBe(true);
  });

  // js-yaml reads some of these as if they were well-formed: directives, `...`, an indented first line, a key behind an entry.
  test.each([
    ['an anchor', 'a: &b c'],
    ['an alias', 'a: *b'],
    ['a tag', 'a: !!str b'],
    ['a block scalar', 'a: |\n  b'],
    ['a text on two lines', 'a: b\n  c'],
    ['a quoted text on two lines', 'a: "b\n  c"'],
    ['an escape', 'a: "\\x41"'],
    ['a quote in quotes', "a: 'it''s'"],
    ['a key twice', 'a: 1\na: 2'],
    ['a key on its own', '? a\n: b'],
    ['a tab', 'a:\tb'],
    ['a directive', '%YAML 1.2\n---\na: b'],
    ['a directive of a name that YAML does not have', '%AML 1.2\n---\na: b'],
    ['the end of a document before its content', '...\na: b'],
    ['an indented document marker', '  ---\na: b'],
    ['an indented directive', '  %YAML 1.2\n---\na: b'],
    ['a key behind an entry', 'a:\n- "b"c: d'],
    ['two documents', 'a: b\n---\nc: d'],
    ['a number in another base', 'a: 0x1f'],
    ['a leading zero', 'a: 010'],
    ['a fraction', 'a: 1.5'],
    ['an unusual null', 'a: ~'],
    ['an unusual boolean', 'a: True'],
    ['an entry without text in a list', 'a:\n  -\n  - b'],
    ['no content', '# nothing\n'],
    ['a scalar alone', 'a'],
    ['lines that do not line up', 'a:\n    b: 1\n  c: 2'],
    ['a value behind a value', 'a: b: c'],
    ['a flow collection that ends early', 'a: [b]]'],
    ['a flow collection that goes on at the left', 'a:\n  b: [c,\n d]'],
    ['a comment without a space before it', 'a: [b]#c'],
    ['a prototype', '__proto__: { a: 1 }'],
  ])('leaves %s to the library', (_what, text) => {
    expect(readFast(text)).toBeUndefined();
  });

  const manyOf = (texts: fc.Arbitrary<string>): fc.Arbitrary<readonly string[]> => fc.array(texts, { maxLength: 20 });

  test('reads whatever it takes like the library', () => {
    let taken = 0;
    let all = 0;
    fc.assert(
      fc.property(manyOf(YAML_DOCUMENT), (texts) => {
        all += texts.length;
        taken += texts.filter(compare).length;
      }),
    );
    // What is never taken is not tested.
    expect(taken / all).toBeGreaterThan(0.15);
  });

  test('reads documents with something small wrong like the library, or not at all', () => {
    const files = FILES.map((file) => readFileSync(file, 'utf8')).filter(({ length }) => length < 2000);
    const from = fc.oneof(YAML_DOCUMENT, fc.constantFrom(...files));
    fc.assert(fc.property(manyOf(from.chain(mutationsOf)), (texts) => texts.forEach(compare)));
  });

  test('reads tokens at random like the library, or not at all', () => {
    fc.assert(fc.property(manyOf(YAML_TOKENS), (texts) => texts.forEach(compare)));
  });
});
