import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, resolve } from 'node:path';
import { expect } from 'vitest';

/** A file written for the linter to judge. */
export interface Plant {
  readonly name: string;
  readonly path: string;
  readonly text: string;
  /** The rule that must refuse it; undefined for a legal neighbour. */
  readonly rule: string | undefined;
}

/** The codes of the rules that refuse each file, by path. */
export type Refusals = ReadonlyMap<string, readonly string[]>;

const root = resolve(import.meta.dirname, '../..');

/** The rooms of src whose code is pure, and must stay so. */
export const CORE = [
  'core/model',
  'core/diagnostics',
  'core/read/yaml',
  'core/read/1-parse',
  'core/read/2-analyze',
  'core/read/3-resolve',
  'core/meaning',
  'core/meaning/evaluate',
  'core/meaning/headerspace',
  'core/meaning/assert',
  'core/meaning/compare',
  'core/meaning/flows',
  'core/meaning/lint',
  'core/meaning/reach',
  'core/meaning/verify',
  'core/translate/4-compile',
  'core/translate/5-render',
  'core/translate/6-change',
];

/** All rooms of src; what lies in `core` itself is one. */
export const ROOMS = [...CORE, 'core', 'api', 'kernel', 'host', 'daemon', 'cli'];

/** The two programs. */
export const ENTRY_POINTS = ['secgroupd.ts', 'sgctl.ts'];

const sources = readdirSync(join(root, 'src'), { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map(({ parentPath, name }) => posix.relative(join(root, 'src'), join(parentPath, name)));

/** The files of src that lie in no room; the entry points alone should. */
export const HOMELESS = sources.filter((path) => roomOf(path) === undefined);

/** The rooms in which src has a file. */
export const INHABITED = [...new Set(sources.flatMap((path) => roomOf(path) ?? []))];

/** Which folders of src the files of each folder import. */
export const FOLDER_IMPORTS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  [...new Set(sources.map((path) => posix.dirname(path)))].map((folder) => [folder, foldersImportedBy(folder)]),
);

function foldersImportedBy(folder: string): ReadonlySet<string> {
  const texts = sources
    .filter((path) => posix.dirname(path) === folder)
    .map((path) => readFileSync(join(root, 'src', path), 'utf8'));
  const imported = texts.flatMap((text) =>
    [...text.matchAll(/'#([^']+)'/g)].map(([, path = '']) => posix.dirname(path)),
  );
  return new Set(imported.filter((to) => to !== folder));
}

/** The innermost room that a file of src lies in. */
function roomOf(path: string): string | undefined {
  const rooms = ROOMS.filter((room) =>
    room === 'core' || room === 'core/meaning' ? posix.dirname(path) === room : path.startsWith(`${room}/`),
  );
  return rooms.toSorted((a, b) => b.length - a.length)[0];
}

/**
 * Lints a tree of nothing but `plants`, and a `target.ts` for them to import in every room, by the project's own
 * configuration, in one run. Throws when the linter does not run.
 */
export function lintPlants(plants: readonly Plant[]): Refusals {
  const tree = mkdtempSync(join(tmpdir(), 'plants-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };
  try {
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) cpSync(join(root, file), join(tree, file));
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
    const targets = [
      ...ROOMS.map((room) => `src/${room}/target.ts`),
      ...ENTRY_POINTS.map((name) => `src/${name}`),
      'test/unit/target.ts',
    ];
    for (const path of targets) write(path, 'export const target = 1;\nexport type Target = number;\n');
    for (const { path, text } of plants) write(path, text);
    return lint(tree);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

/** Fails for each plant that was refused though legal, or not refused by its rule. Wants plants of both kinds. */
export function expectJudged(plants: readonly Plant[], refusals: Refusals): void {
  expect(plants.some(({ rule }) => rule !== undefined)).toBe(true);
  expect(plants.some(({ rule }) => rule === undefined)).toBe(true);
  const misjudged = plants.filter(({ path, rule }) => {
    const refusedBy = refusals.get(path) ?? [];
    return rule === undefined ? refusedBy.length > 0 : !refusedBy.includes(rule);
  });
  expect(
    misjudged.map(({ name, path, rule }) => ({ name, expected: rule, refusedBy: refusals.get(path) ?? [] })),
  ).toEqual([]);
}

function lint(tree: string): Refusals {
  const linter = join(root, 'node_modules/oxlint/bin/oxlint');
  const { stdout, stderr } = spawnSync(process.execPath, [linter, '--format=json', 'src', 'test'], {
    cwd: tree,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (!stdout.startsWith('{')) throw new Error(`the linter did not run: ${stdout}${stderr}`);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { readonly code: string; readonly filename: string }[] };
  const found = new Map<string, Set<string>>();
  for (const { code, filename } of diagnostics) {
    const path = posix.normalize(filename);
    found.set(path, (found.get(path) ?? new Set()).add(code));
  }
  return new Map([...found].map(([path, codes]) => [path, [...codes].toSorted()]));
}
