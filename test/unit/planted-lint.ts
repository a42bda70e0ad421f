import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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

/** The folders of src whose code is pure, and must stay so. */
export const CORE = ['model', 'diagnostics', '1-parse', '2-analyze', '3-compile', '4-render', 'evaluate'];

/** All folders of src. */
export const FOLDERS = [...CORE, 'nft', 'host', 'daemon', 'cli'];

/** The two programs. */
export const ENTRY_POINTS = ['secgroupd.ts', 'sgctl.ts'];

const entries = readdirSync(join(root, 'src'), { withFileTypes: true });

/** The folders that src really has. */
export const foldersFound = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);

/** The files that lie in src itself; the entry points in any case. */
export const ROOT_FILES = [
  ...new Set([...ENTRY_POINTS, ...entries.map(({ name }) => name).filter((name) => name.endsWith('.ts'))]),
];

/**
 * Lints a tree of nothing but `plants`, and a `target.ts` for them to import in every folder, by the project's own
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
      ...FOLDERS.map((folder) => `src/${folder}/target.ts`),
      ...ROOT_FILES.map((name) => `src/${name}`),
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
