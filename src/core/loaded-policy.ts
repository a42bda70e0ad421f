import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { limitDiagnostics } from '#core/diagnostics/limit-diagnostics.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { comparePlaces } from '#core/model/policy/span.ts';

/** A policy as read from its files. */
export interface LoadedPolicy {
  /** Undefined if a diagnostic is an error. */
  readonly policy: Policy | undefined;
  /** In reading order: file by file, from top to bottom. */
  readonly diagnostics: readonly Diagnostic[];
  /** The text of every file that was read, by the name that diagnostics use. */
  readonly sources: ReadonlyMap<string, string>;
  /** The names of the policy file and then of its drop-ins. */
  readonly documents: readonly string[];
  /** Every file that the policy consists of, including the unreadable ones. */
  readonly files: readonly string[];
  /** Whether users other than root could have written one of the files. */
  readonly isUntrusted: boolean;
}

/** Returns what was loaded with more diagnostics; without its policy, if one of these is an error. */
export function withDiagnostics(loaded: LoadedPolicy, more: readonly Diagnostic[]): LoadedPolicy {
  if (more.length === 0) return loaded;
  const hasError = more.some(({ severity }) => severity === 'error');
  return {
    ...loaded,
    policy: hasError ? undefined : loaded.policy,
    diagnostics: limitDiagnostics(inReadingOrder([...loaded.diagnostics, ...more], loaded.files)),
  };
}

/** Sorts diagnostics as a person reads the files, from top to bottom. */
function inReadingOrder(diagnostics: readonly Diagnostic[], files: readonly string[]): readonly Diagnostic[] {
  const rank = new Map(files.map((file, index) => [file, index]));
  const rankOf = ({ span }: Diagnostic): number => rank.get(span.file) ?? files.length;
  return diagnostics.toSorted((a, b) => rankOf(a) - rankOf(b) || comparePlaces(a.span, b.span));
}
