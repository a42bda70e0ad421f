import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { reportableOf } from '#cli/commands/lint.ts';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { LINT_CODES } from '#core/diagnostics/lint-codes.ts';
import { lintPolicy } from '#core/meaning/lint/lint-policy.ts';
import type { HostState } from '#core/model/policy/host.ts';
import { expectGolden, GOLDEN_ROOT, goldenCases, loadCase } from './golden.ts';

/** The host that a case is looked at on. */
function hostOf(name: string): HostState | undefined {
  const file = join(GOLDEN_ROOT, 'lint', name, 'host.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as HostState) : undefined;
}

describe('the advice', () => {
  test.each(goldenCases('lint'))('%s', async (name) => {
    const { policy, diagnostics, sources } = await loadCase(`lint/${name}`);
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    if (policy === undefined) return;
    const { findings, accepted } = lintPolicy(policy, { host: hostOf(name) });
    const local = (file: string): string => file.slice(file.lastIndexOf('/') + 1);
    const text = findings.map((finding) => {
      const told = reportableOf(finding);
      const related = told.related.map((one) => ({ ...one, span: { ...one.span, file: local(one.span.file) } }));
      const shown = { ...told, span: { ...told.span, file: local(told.span.file) }, related };
      return formatDiagnostic(shown, (file) => sources.get(file));
    });
    const silent = accepted.map(({ finding, because }) => `accepted: ${finding.code}, because ${because}`);
    expectGolden(`lint/${name}/expected.txt`, `${[...text, ...silent].join('\n\n')}\n`);
  });

  test('every code of the advisor has a case', () => {
    const seen = goldenCases('lint')
      .map((name) => readFileSync(join(GOLDEN_ROOT, 'lint', name, 'expected.txt'), 'utf8'))
      .join('\n');
    expect(Object.keys(LINT_CODES).filter((code) => !seen.includes(`[${code}]`))).toEqual([]);
  });
});
