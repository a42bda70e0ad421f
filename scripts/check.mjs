// `npm run check`: everything that needs neither root nor much time, side by side; `--static` leaves the tests out.
// A step that passes is one line; a step that fails shows its whole output. The tests come last and show theirs, so
// that the last line counts them. Exit code: how many steps failed.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const steps = [
  { name: 'format', command: ['biome', 'ci', '--reporter=summary', '--colors=off'], fix: 'npm run format' },
  { name: 'lint', command: ['oxlint'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'dead code', command: ['knip', '--no-progress'] },
];
const tests = { name: 'tests', command: ['vitest', 'run', '--config=test/vitest.config.ts', '--project=quick'] };

/** Runs a step to its end; resolves to its exit code, output and seconds. */
function run({ command: [program, ...words] }) {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(join(root, 'node_modules/.bin', program), words, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    const finish = (code) =>
      resolve({ code, output: Buffer.concat(chunks).toString(), seconds: (performance.now() - started) / 1000 });
    child.on('error', (error) => {
      chunks.push(Buffer.from(`${error.message}\n`));
      finish(1);
    });
    child.on('close', (code) => finish(code ?? 1));
  });
}

let failed = 0;

/** Shows how a step ended; what it wrote only when it failed or `always`. */
function show({ name, fix }, { code, output, seconds }, always = false) {
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(10)} ${seconds.toFixed(1)} s`);
  if (code !== 0) failed += 1;
  if (code !== 0 || always) process.stdout.write(output.endsWith('\n') ? output : `${output}\n`);
  if (code !== 0 && fix !== undefined) console.log(`     ${fix} fixes it`);
}

const testing = process.argv.includes('--static') ? undefined : run(tests);
await Promise.all(
  steps.map(async (step) => {
    show(step, await run(step));
  }),
);
if (testing !== undefined) show(tests, await testing, true);
process.exitCode = failed;
