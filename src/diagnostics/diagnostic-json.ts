import type { Diagnostic } from './diagnostic.ts';

/** Another place of a diagnostic, as programs read it. */
export interface RelatedJson {
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A diagnostic as programs read it. The keys are a contract: more may come, none goes or changes its type. */
export interface DiagnosticJson {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  readonly help: string | null;
  readonly related: readonly RelatedJson[];
}

/** The JSON shape of a diagnostic: one element of what `sgctl check --json` prints. */
export function diagnosticToJson({ code, severity, message, span, help, related }: Diagnostic): DiagnosticJson {
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
