/**
 * The catalogue of diagnostic codes: each names one kind of mistake, with the severity it always has.
 * Codes are a contract with scripts that read `sgctl check --json`: they are added, never renamed.
 */
export const DIAGNOSTIC_CODES = {
  'yaml-syntax': 'error',
} as const satisfies Record<string, 'error' | 'warning'>;

/** A code of the catalogue. */
export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES;
