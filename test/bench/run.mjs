// Measures what filtering costs, side by side with other ways of doing it. README.md tells the options.
//
//   sudo npm run bench -- --quick

import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = mkdtempSync(join(tmpdir(), 'secgroupd-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
// By way of exit, so that namespaces and folders go then too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

// Packages with native parts are taken from where they are installed.
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
// The tests' programs are found beside the modules that start them, of which the bundle would know nothing.
const placed = {
  name: 'placed',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\/test\/netns\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
      loader: 'ts',
    }));
  },
};
await build({
  absWorkingDir: root,
  entryPoints: ['test/bench/bench.ts', 'test/bench/ours-program.ts'],
  outdir: folder,
  outExtension: { '.js': '.cjs' },
  external: ['netlink'],
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  logLevel: 'warning',
  plugins: [placed],
});
process.env['SECGROUPD_BENCH_PROGRAM'] = join(folder, 'ours-program.cjs');
const { bench } = createRequire(import.meta.url)(join(folder, 'bench.cjs'));
process.exitCode = await bench({ root, scratch: folder, args: process.argv.slice(2) });
