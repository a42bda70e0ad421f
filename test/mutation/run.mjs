// Plants each defect of mutants.mjs in a copy of the tree and runs the tests of meaning on it: each must be noticed.
// Prints a table; ends with 1 if a defect lived, or could not be planted because the code has changed.
//
//   sudo npm run test:mutation            all of them
//   sudo npm run test:mutation -- icmp    those whose name contains a word

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MUTANTS } from './mutants.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

// Goldens are left out: they notice that something changed, and not that it is wrong.
const SUITES = {
  meaning: [
    [
      'test/property/agreement.test.ts',
      'test/conformance',
      'test/unit/intervals.test.ts',
      'test/unit/address-entries.test.ts',
      'test/unit/address-line.test.ts',
      'test/unit/compare-policies.test.ts',
      'test/unit/lint.test.ts',
    ],
    ['test/property/comparison.test.ts', 'test/property/assertion.test.ts', 'test/property/lint.test.ts'],
  ],
  packets: [
    ['test/unit/address-classes.test.ts', 'test/unit/resolve-addresses.test.ts'],
    ['test/netns/differential.test.ts', 'test/netns/dense-policies.test.ts'],
    ['test/netns/rule-parameters.test.ts', 'test/netns/conformance.test.ts'],
    ['test/netns/state'],
    ['test/netns/daemon-accounts.test.ts'],
  ],
};
const ENVIRONMENT = {
  ...process.env,
  PROPERTY_RUNS: '400',
  PROPERTY_SHRINK: 'no',
  DIFFERENTIAL_RUNS: '60',
  DIFFERENTIAL_SEED: '1',
  NO_COLOR: '1',
};
const MOST_MILLISECONDS = 600_000;

const wanted = MUTANTS.filter(({ name }) => name.includes(process.argv[2] ?? ''));
const copy = mkdtempSync(join(tmpdir(), 'secgroupd-mutation-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
for (const part of ['src', 'test', 'config', 'scripts', 'package.json', 'tsconfig.json']) {
  cpSync(join(root, part), join(copy, part), { recursive: true });
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** Runs suites in the copy until one fails; the first test that does, or undefined if all pass. */
function noticedBy(suites) {
  for (const files of suites) {
    const { status, stdout } = spawnSync(
      join(root, 'node_modules/.bin/vitest'),
      ['run', '--config=test/vitest.config.ts', '--bail=1', ...files],
      { cwd: copy, env: ENVIRONMENT, encoding: 'utf8', timeout: MOST_MILLISECONDS, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    if (status !== 0) return /FAIL\s+(.*)/.exec(stdout)?.[1]?.trim() ?? files.join(' ');
  }
  return undefined;
}

const alive = [];
for (const suites of new Set(wanted.map(({ by }) => SUITES[by]))) {
  const failure = noticedBy(suites);
  if (failure !== undefined) throw new Error(`without a defect, this fails already: ${failure}`);
}
for (const { name, file, from, to, by } of wanted) {
  const path = join(copy, file);
  const original = readFileSync(path, 'utf8');
  const stale = original.split(from).length !== 2;
  if (!stale)
    writeFileSync(
      path,
      original.replace(from, () => to),
    );
  const started = performance.now();
  const killer = stale ? undefined : noticedBy(SUITES[by]);
  writeFileSync(path, original);
  const seconds = ((performance.now() - started) / 1000).toFixed(0).padStart(4);
  const outcome = stale ? 'STALE ' : killer === undefined ? 'LIVES ' : 'killed';
  console.log(`${outcome} ${seconds} s  ${name.padEnd(75)} ${killer ?? ''}`);
  if (stale || killer === undefined) alive.push(name);
}
console.log(`${wanted.length - alive.length} of ${wanted.length} defects killed`);
process.exitCode = alive.length === 0 && wanted.length > 0 ? 0 : 1;
