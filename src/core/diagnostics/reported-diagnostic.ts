/** A diagnostic as programs read it. The keys are a contract: more may come, none goes or changes its type. */
export interface ReportedDiagnostic {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  readonly help: string | null;
  readonly related: readonly RelatedPlaceReport[];
}

/** Another place that a diagnostic speaks of, as programs read it. */
export interface RelatedPlaceReport {
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}
