// Bundles the two programs into dist/, which then runs with plain `node`, with no node_modules beside it.
//
// CommonJS, because one file that `require`s lazily starts faster than an ES module graph does and because native
// addons and most of the packages are CommonJS. Whatever is reached from the entry points may therefore use neither
// top-level await nor import.meta. Names and lines stay as written: a stack trace is read by people.

import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

// netlink finds its addon through node-gyp-build, which searches beside the package. A bundle has no such place; its
// addons lie in dist/prebuilds, one for each processor architecture.
const addonBesideBundle = {
  name: 'addon-beside-bundle',
  setup(bundler) {
    bundler.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: 'node-gyp-build', namespace: 'addon' }));
    bundler.onLoad({ filter: /.*/, namespace: 'addon' }, () => ({
      contents: `
        const { join } = require('node:path');
        module.exports = () =>
          require(join(__dirname, 'prebuilds', process.platform + '-' + process.arch, 'node.napi.node'));
      `,
      resolveDir: root,
    }));
  },
};

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/secgroupd.ts', 'src/sgctl.ts'],
  outdir: dist,
  bundle: true,
  // Nothing is written before all of it is built, so that a failed build leaves the last good one.
  write: false,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  banner: { js: '#!/usr/bin/env node' },
  define: { __VERSION__: JSON.stringify(version) },
  plugins: [addonBesideBundle],
  logLevel: 'warning',
  // A warning here is a bundle that breaks at run time, such as an import.meta left empty.
  logOverride: { 'empty-import-meta': 'error', 'unsupported-dynamic-import': 'error' },
});

// Packages may lie beside the programs.
for (const part of ['secgroupd.js', 'sgctl.js', 'package.json', 'prebuilds', 'man'])
  rmSync(join(dist, part), { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
for (const { path, contents } of outputFiles) {
  writeFileSync(path, contents);
  chmodSync(path, 0o755);
}
// The project's own package.json says "module"; without this one Node would take the bundles for ES modules.
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ type: 'commonjs', version, private: true }, null, 2)}\n`);
const netlink = dirname(createRequire(import.meta.url).resolve('netlink/package.json'));
cpSync(join(netlink, 'prebuilds'), join(dist, 'prebuilds'), { recursive: true });

// Manual pages say what --help and the policy's schema say, so they come out of the same code.
const manuals = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/man-pages.ts'],
  bundle: true,
  write: false,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  define: { __VERSION__: JSON.stringify(version) },
  plugins: [addonBesideBundle],
  logLevel: 'warning',
});
const generator = join(dist, 'man-pages.cjs');
writeFileSync(generator, manuals.outputFiles[0].contents);
mkdirSync(join(dist, 'man'));
const chores = readFileSync(join(root, 'config/chores.md'), 'utf8');
for (const [name, page] of Object.entries(createRequire(import.meta.url)(generator).manPages(chores))) {
  writeFileSync(join(dist, 'man', name), page);
}
rmSync(generator);

console.log(
  outputFiles.map(({ path, contents }) => `dist/${basename(path)} ${Math.round(contents.length / 1024)} kB`).join(', '),
);
