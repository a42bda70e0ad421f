import type { Span } from '#core/model/policy/span.ts';
import type { DiagnosticCode } from './codes.ts';

/** Another place that a diagnostic refers to, such as the first definition of a name defined twice. */
export interface RelatedPlace {
  readonly span: Span;
  readonly message: string;
}

/** One finding about what a user wrote. An error makes the policy invalid; a warning does not. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: 'error' | 'warning';
  /** Lower case, no full stop; user input in backticks. */
  readonly message: string;
  readonly span: Span;
  readonly related: readonly RelatedPlace[];
  /** How to fix it; undefined if the message says so. */
  readonly help: string | undefined;
}
