import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument } from '#core/read/1-parse/parse-document.ts';
import { yamlCauses } from '#core/read/yaml/yaml-causes.ts';

const POLICY = `version: 1
securityGroups:
  web:
    description: "the web servers"
    inbound:
      - { protocol: tcp, ports: [80, 443], source: any }
      - protocol: tcp
        ports: 22
        source: { addressGroup: office }   # "who" [works {here
addressGroups:
  office: { addresses: [192.0.2.1, '192.0.2.9'] }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;

/** The policy with a few characters put in, taken out or replaced. */
const BROKEN = fc
  .array(
    fc.record({
      at: fc.nat(POLICY.length),
      gone: fc.nat(3),
      come: fc.constantFrom(
        '',
        ' ',
        '  ',
        '\t',
        '\n',
        '{',
        '}',
        '[',
        ']',
        '"',
        "'",
        ':',
        ': ',
        ',',
        '- ',
        '#',
        '*',
        '|\n',
        '?',
      ),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((edits) =>
    edits.reduce((text, { at, gone, come }) => `${text.slice(0, at)}${come}${text.slice(at + gone)}`, POLICY),
  );

/** What the YAML library says. */
const ITS_WORDS =
  /flow (?:map|sequence|sequences)|implicit|block (?:collection|sequence|map)|sufficiently|compact mapping|unexpected|plain value/i;

describe('of a text that is not well-formed', () => {
  test('whatever is wrong is said in the words of this project, at a place of the text, with what to do', () => {
    fc.assert(
      fc.property(BROKEN, (text) => {
        const lines = text.split('\n');
        for (const { code, message, help, span } of parseDocument({ file: 'p.yaml', text }, 'main').diagnostics) {
          if (code !== 'yaml-syntax') continue;
          expect(message).not.toMatch(ITS_WORDS);
          expect(help).toBeDefined();
          expect(span.line).toBeLessThanOrEqual(lines.length);
          expect(span.column).toBeLessThanOrEqual((lines[span.line - 1]?.length ?? 0) + 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a sound text has none of the causes', () => {
    expect(yamlCauses(POLICY, false)).toEqual([]);
  });

  test.each([
    ['a text over several lines', 'description: the web\n  servers, and\n  more\nversion: 1\n'],
    ['a block scalar', 'description: |\n  a: {\n    "b\n   c\nversion: 1\n'],
    ['a list in the column of its key', 'assert:\n- { deny: { source: any } }\n- deny:\n    source: any\nversion: 1\n'],
    ['brackets over several lines', 'a:\n  b: [\n    1,\n    2\n  ]\n  c: { d: 1,\n    e: 2 }\n'],
    ['quotes inside a text', 'a: it\'s a "text"\nb: \'it\'\'s\'\nc: "a \\" b"\n'],
    ['an address with colons', 'a: 2001:db8::1\nb: [2001:db8::/32, ::1]\nc: "a: b"\n'],
    ['anchors and items in items', 'a: &x\n  b: 1\nc: *x\nd:\n  - - 1\n    - 2\n  -\n    e: 1\n'],
    ['line ends of another system', 'a:\r\n  b: 1\r\n  c: [1]\r\n'],
  ])('%s is not taken for a mistake', (_name, text) => {
    expect(yamlCauses(text, false)).toEqual([]);
  });

  test('a long text is not searched', () => {
    const start = performance.now();
    expect(yamlCauses(`a: ${'['.repeat(500_000)}`, false)).toEqual([]);
    expect(yamlCauses('a: [\n'.repeat(300_000), false)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});
