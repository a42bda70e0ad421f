import type { Diagnostic } from './diagnostic.ts';
import type { ReportedDiagnostic } from './reported-diagnostic.ts';

/** The JSON shape of a diagnostic: one element of what `sgctl check --json` prints. */
export function diagnosticToJson({ code, severity, message, span, help, related }: Diagnostic): ReportedDiagnostic {
  const { file, line, column } = span;
  return {
    code,
    severity,
    message,
    file,
    line,
    column,
    help: help ?? null,
    related: related.map((place) => ({
      message: place.message,
      file: place.span.file,
      line: place.span.line,
      column: place.span.column,
    })),
  };
}
