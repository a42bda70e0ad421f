import type { DiagnosticCode } from './codes.ts';
import type { Diagnostic } from './diagnostic.ts';
import { diagnosticOf } from './report.ts';

/** Beyond this many mistakes a policy is the wrong one rather than one with mistakes in it. */
const MOST_FINDINGS = 100;

const MORE: Readonly<Record<Diagnostic['severity'], DiagnosticCode>> = {
  error: 'too-many-errors',
  warning: 'too-many-warnings',
};

/** No more than anybody reads: the first of each severity, and how many are left out. `diagnostics` are in reading order. */
export function firstOf(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  if (diagnostics.length <= MOST_FINDINGS) return diagnostics;
  const counts = { error: 0, warning: 0 };
  const firstLeftOut: Partial<Record<Diagnostic['severity'], Diagnostic>> = {};
  const told = diagnostics.filter((diagnostic) => {
    const { severity, code } = diagnostic;
    // Of those that one file has more of, it is told already.
    if (code === MORE[severity]) return true;
    counts[severity] += 1;
    if (counts[severity] <= MOST_FINDINGS) return true;
    firstLeftOut[severity] ??= diagnostic;
    return false;
  });
  const more = (['error', 'warning'] as const).flatMap((severity) => {
    const span = firstLeftOut[severity]?.span;
    if (span === undefined) return [];
    return [
      diagnosticOf({
        code: MORE[severity],
        span,
        message: `and ${counts[severity] - MOST_FINDINGS} more from here on`,
      }),
    ];
  });
  return [...told, ...more];
}
