import type { DiagnosticCode } from './codes.ts';
import type { Diagnostic } from './diagnostic.ts';
import { diagnosticOf } from './report.ts';

/** A policy with more mistakes is the wrong file rather than one with mistakes in it. */
const MAX_FINDINGS = 100;

const MORE: Readonly<Record<Diagnostic['severity'], DiagnosticCode>> = {
  error: 'too-many-errors',
  warning: 'too-many-warnings',
};

/** Limits diagnostics, in reading order, to the first of each severity, and adds how many were left out. */
export function limitDiagnostics(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  if (diagnostics.length <= MAX_FINDINGS) return diagnostics;
  const counts = { error: 0, warning: 0 };
  const firstLeftOut: Partial<Record<Diagnostic['severity'], Diagnostic>> = {};
  const kept = diagnostics.filter((diagnostic) => {
    const { severity, code } = diagnostic;
    // It already says that one file has more.
    if (code === MORE[severity]) return true;
    counts[severity] += 1;
    if (counts[severity] <= MAX_FINDINGS) return true;
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
        message: `and ${counts[severity] - MAX_FINDINGS} more from here on`,
      }),
    ];
  });
  return [...kept, ...more];
}
