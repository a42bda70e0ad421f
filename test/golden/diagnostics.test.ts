import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DIAGNOSTIC_CODES } from '#core/diagnostics/codes.ts';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { expectGolden, GOLDEN_ROOT, goldenCases, loadCase } from './golden.ts';

/** Codes of what happens after a policy was found good, of a file too big to keep and of a proof too long; they have tests of their own. */
const ELSEWHERE = ['host-not-in-policy', 'kernel-refused', 'file-too-large', 'assertion-unproved'];

describe('diagnostics', () => {
  test.each(goldenCases('diagnostics'))('%s', async (name) => {
    const { diagnostics, policy, sources } = await loadCase(`diagnostics/${name}`);
    const text = diagnostics
      .map((diagnostic) => formatDiagnostic(diagnostic, (file) => sources.get(file)))
      .join('\n\n');
    expectGolden(`diagnostics/${name}/expected.txt`, `${text}\n`);
    expect(policy === undefined).toBe(diagnostics.some(({ severity }) => severity === 'error'));
  });

  test('every code of the catalogue has a case', () => {
    const seen = goldenCases('diagnostics')
      .map((name) => readFileSync(join(GOLDEN_ROOT, 'diagnostics', name, 'expected.txt'), 'utf8'))
      .join('\n');
    const missing = Object.keys(DIAGNOSTIC_CODES).filter(
      (code) => !seen.includes(`[${code}]`) && !ELSEWHERE.includes(code),
    );
    expect(missing).toEqual([]);
  });
});
