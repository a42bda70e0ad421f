import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { loadPolicy } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';

/** One directory of golden cases: each case is a directory with a `policy.yaml` and what it must come to. */
export const GOLDEN_ROOT = dirname(fileURLToPath(import.meta.url));

/** The names of the cases in a directory below the golden root. */
export function goldenCases(directory: string): readonly string[] {
  return readdirSync(join(GOLDEN_ROOT, directory)).toSorted();
}

/** Loads a case's policy; file names in its diagnostics are relative to the case. */
export async function loadCase(directory: string): Promise<LoadedPolicy> {
  const path = relative(process.cwd(), join(GOLDEN_ROOT, directory, 'policy.yaml'));
  const loaded = await loadPolicy(createPolicyReader(path, 'any'));
  const local = (file: string): string => relative(dirname(path), file);
  return {
    ...loaded,
    diagnostics: loaded.diagnostics.map((diagnostic) => ({
      ...diagnostic,
      message: diagnostic.message.replaceAll(`${dirname(path)}/`, ''),
      span: { ...diagnostic.span, file: local(diagnostic.span.file) },
      related: diagnostic.related.map((place) => ({ ...place, span: { ...place.span, file: local(place.span.file) } })),
    })),
    sources: new Map([...loaded.sources].map(([file, text]) => [local(file), text])),
  };
}

/** Compares a text with a case's file; with UPDATE=1 in the environment the file is written instead. */
export function expectGolden(file: string, actual: string): void {
  const path = join(GOLDEN_ROOT, file);
  if (process.env['UPDATE'] === '1') writeFileSync(path, actual);
  expect(actual).toBe(
    existsSync(path) ? readFileSync(path, 'utf8') : `missing: run the tests with UPDATE=1, and read ${file}`,
  );
}
