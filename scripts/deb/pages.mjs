// Puts the pages that a package ships into its folder of documentation. Links among them lead to where they are there;
// of a link to what is not shipped the words stay.
//
//   node scripts/deb/pages.mjs DIRECTORY

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The pages, and what they are called in the package. */
const PAGES = {
  'README.md': 'README.md',
  'config/README.md': 'policy-file.md',
  'config/chores.md': 'chores.md',
  'config/migration.md': 'migration.md',
  'config/examples/README.md': 'examples/README.md',
};

/** Where a file of the sources is in the package, seen from its folder of documentation; undefined if it is not there. */
function shipped(path) {
  if (path === 'config/policy.schema.json') return '/usr/share/secgroupd/policy.schema.json';
  if (path === 'config/policy.yaml') return '/etc/secgroupd/policy.yaml';
  if (path === 'LICENSE') return 'copyright';
  if (path === 'config/examples') return 'examples/README.md';
  return PAGES[path] ?? (path.startsWith('config/examples/') ? path.slice('config/'.length) : undefined);
}

/** The text of a page, whose path in the sources is `from`, as the package has it. */
function packagedPage(from, text) {
  const to = posix.dirname(PAGES[from]);
  return text.replaceAll(/(!?)\[([^\]]*)\]\(([^)#:]+)(#[^)]*)?\)/g, (_link, _picture, words, target, anchor = '') => {
    const place = shipped(posix.join(posix.dirname(from), target));
    if (place === undefined) return words;
    return `[${words}](${place.startsWith('/') ? place : posix.relative(to, place)}${anchor})`;
  });
}

/** Writes all pages into `directory`. */
function writePages(directory) {
  for (const [from, to] of Object.entries(PAGES)) {
    mkdirSync(dirname(join(directory, to)), { recursive: true });
    writeFileSync(join(directory, to), packagedPage(from, readFileSync(join(root, from), 'utf8')));
  }
}

writePages(process.argv[2]);
