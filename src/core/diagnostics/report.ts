import type { Span } from '#core/model/policy/span.ts';
import { DIAGNOSTIC_CODES, type DiagnosticCode } from './codes.ts';
import type { Diagnostic, RelatedPlace } from './diagnostic.ts';

/** What a check reports of one mistake; the catalogue adds the severity. */
export interface Finding {
  readonly code: DiagnosticCode;
  readonly span: Span;
  readonly message: string;
  readonly help?: string | undefined;
  readonly related?: readonly RelatedPlace[];
}

/** Receives findings in the order in which they are made. */
export type Report = (finding: Finding) => void;

/** The diagnostic that a finding amounts to. */
export function diagnosticOf({ code, span, message, help, related = [] }: Finding): Diagnostic {
  return { code, severity: DIAGNOSTIC_CODES[code], message, span, related, help };
}

/** A report that appends to `diagnostics`. */
export function reportTo(diagnostics: Diagnostic[]): Report {
  return (finding) => {
    diagnostics.push(diagnosticOf(finding));
  };
}
