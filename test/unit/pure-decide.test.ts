import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const SOURCE = resolve('src');
const RECONCILE = join(SOURCE, 'daemon/reconcile');

/** What reads a clock, waits, or reaches beyond the process. */
const IMPURE =
  /\b(?:Date\.now|new Date\(\)|performance|setTimeout|setInterval|setImmediate|process|Math\.random|async|await|Promise)\b|\bnew Date\(\)/;

/** They compute, and do nothing else. */
const PURE_BUILT_INS = ['node:crypto', 'node:path', 'node:util'];

interface Closure {
  readonly files: readonly string[];
  readonly packages: readonly string[];
}

/** What a module runs with: its imports and theirs, those of types alone left out. */
function closureOf(entry: string): Closure {
  const files = new Set<string>([entry]);
  const packages = new Set<string>();
  for (const file of files)
    for (const [, from = ''] of importsOf(file)) {
      if (from.startsWith('#')) files.add(join(SOURCE, from.slice(1)));
      else if (from.startsWith('.')) files.add(join(dirname(file), from));
      else packages.add(from);
    }
  return { files: [...files], packages: [...packages] };
}

function importsOf(file: string): Iterable<RegExpMatchArray> {
  return readFileSync(file, 'utf8').matchAll(/^import (?!type\b)[^;]*?from '([^']+)';$/gms);
}

/** The code of a file, its comments left out. */
function codeOf(file: string): string {
  return readFileSync(file, 'utf8')
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/^\s*\/\/.*$/gm, '');
}

function impureFilesOf(entry: string): readonly string[] {
  const { files } = closureOf(join(RECONCILE, entry));
  return files
    .filter((file) => dirname(file) === RECONCILE && IMPURE.test(codeOf(file)))
    .map((file) => relative(RECONCILE, file));
}

test('decide runs with nothing that does I/O', () => {
  const { files, packages } = closureOf(join(RECONCILE, 'decide.ts'));
  expect(files.length).toBeGreaterThan(30);
  expect(packages.filter((name) => !PURE_BUILT_INS.includes(name))).toEqual([]);
  const shell = files.map((file) => relative(SOURCE, file)).filter((file) => /^(?:host|kernel)\//.test(file));
  expect(shell.toSorted()).toEqual([
    'host/files/policy-texts.ts',
    'kernel/errors.ts',
    'kernel/nftables/content-hash.ts',
  ]);
});

test.each(['decide.ts', 'decide-override.ts', 'drift.ts'])('%s asks no clock and waits for nothing', (entry) => {
  expect(impureFilesOf(entry)).toEqual([]);
});

test('what does so is found', () => {
  expect(impureFilesOf('observe.ts')).toContain('observe.ts');
  expect(closureOf(join(RECONCILE, 'watch-links.ts')).files).toContain(join(SOURCE, 'kernel/links/read-interfaces.ts'));
});
