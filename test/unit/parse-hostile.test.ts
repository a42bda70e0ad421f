import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { parseDocument } from '#core/read/1-parse/parse-document.ts';

const VALID = `version: 1
platform:
  management:
    - { protocol: tcp, ports: 22, source: 192.0.2.10/32 }
addressGroups:
  office: &office
    addresses: [203.0.113.0/24, "2001:db8:1::/48"]
  other: *office
securityGroups:
  web:
    template: default
    inbound:
      - action: allow
        icmp: { type: 3, code: 4 }
        source: { securityGroup: bastion }
    outbound:
      - { destination: any, ports: ["22,80", 443] }
instances:
  host: { interfaces: { eth0: { addresses: dynamic, securityGroups: [web] } } }
`;

/** Whatever the text: no exception, an answer, and places and frames that can be shown. */
function check(text: string): void {
  for (const kind of ['main', 'drop-in'] as const) {
    const { document, diagnostics } = parseDocument({ file: 'p.yaml', text }, kind);
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    expect(errors.length > 0).toBe(document === undefined);
    const lines = text.split('\n').length;
    for (const diagnostic of diagnostics) {
      const { span } = diagnostic;
      expect(span.line).toBeGreaterThanOrEqual(1);
      expect(span.column).toBeGreaterThanOrEqual(1);
      expect(span.endLine).toBeLessThanOrEqual(lines);
      expect(span.endLine > span.line || span.endColumn >= span.column).toBe(true);
      const frame = formatDiagnostic(diagnostic, () => text);
      expect(frame.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
    document?.spanOf(['securityGroups', 'web', 'inbound', 0, 'source']);
    document?.keySpanOf(['__proto__', 3, 'constructor']);
  }
}

const SPLINTERS = [
  ...'[]{},:-?&*!|>\'"%@`#~\n\t \r\0'.split(''),
  ...[
    '&a',
    '*a',
    '*office',
    '<<: ',
    '!!int ',
    '!x ',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '- ',
    ': ',
    '__proto__',
    'null',
    '0x10',
    '1e9',
    '.inf',
  ],
  ...['source: any', 'ports: []', '\u{feff}', '\u{2028}', '😀', '\ud800', '"\\0"', '    '],
];

describe('hostile text', () => {
  test('mutated policies', () => {
    const cut = fc.record({
      at: fc.nat(VALID.length),
      drop: fc.nat(12),
      put: fc.array(fc.constantFrom(...SPLINTERS), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(cut, { minLength: 1, maxLength: 4 }), (cuts) => {
        let text = VALID;
        for (const { at, drop, put } of cuts) text = text.slice(0, at) + put.join('') + text.slice(at + drop);
        check(text);
      }),
    );
  });

  test('splinters of YAML', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...SPLINTERS), { maxLength: 40 }), (parts) => check(parts.join(''))),
    );
  });

  test('any characters', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), check));
  });

  test('values of any kind at any place', () => {
    const value = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(null, true, 0, 1, 22, 1.5, '', 'any', 'self', 'tcp', 'dynamic', '192.0.2.1'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            'source',
            'destination',
            'ports',
            'icmp',
            'type',
            'securityGroup',
            'addresses',
            '__proto__',
            'x',
          ),
          tie('value'),
          {
            maxKeys: 4,
          },
        ),
      ),
    })).value;
    const PLACES = [
      (text: string) => `{ version: 1, securityGroups: { g: { inbound: [${text}] } } }`,
      (text: string) => `{ version: 1, securityGroups: { g: { inbound: [{ source: ${text} }] } } }`,
      (text: string) =>
        `{ version: 1, securityGroups: { g: { inbound: [{ source: any, icmp: ${text}, ports: ${text} }] } } }`,
      (text: string) => `{ version: 1, platform: { management: [${text}] } }`,
      (text: string) => `{ version: 1, addressGroups: { a: ${text} }, instances: ${text} }`,
      (text: string) => `{ version: 1, instances: { i: { interfaces: { e: ${text} } } } }`,
      (text: string) => text,
    ];
    fc.assert(fc.property(value, fc.constantFrom(...PLACES), (of, place) => check(place(JSON.stringify(of)))));
  });

  test.each([
    ['[', 20_000],
    ['{a: ', 20_000],
    ['- ', 20_000],
    ['? ', 20_000],
    ['a: ', 20_000],
    ['&a ', 20_000],
    ['---\n', 10_000],
    ['"', 20_000],
    ["a: '\n", 10_000],
    ['[],', 20_000],
    ['- *a\n', 10_000],
    ['- &a x\n- *a\n', 5_000],
    ['a: 1\n', 10_000],
    ['😀', 20_000],
    ['\0', 20_000],
  ])(
    '%j many times over ends soon',
    (part, times) => {
      check(part.repeat(times));
    },
    10_000,
  );
});
