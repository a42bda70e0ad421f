import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '#cli/commands.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGES = execFileSync(
  'find',
  ['.', '-name', '*.md', '-not', '-path', '*/node_modules/*', '-not', '-path', './dist/*'],
  {
    cwd: ROOT,
    encoding: 'utf8',
  },
)
  .trim()
  .split('\n')
  .toSorted();

/** The headings of a page, as links name them. */
function anchors(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The links of a page to files that are not there, or to headings that they have not. */
function brokenLinks(page: string): readonly string[] {
  const text = readFileSync(page, 'utf8').replaceAll(/^```[^]*?^```$/gm, '');
  return [...text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)].flatMap(([link, target = '', anchor]) => {
    const file = target === '' ? page : resolve(dirname(page), target);
    if (!existsSync(file)) return [link];
    return anchor === undefined || anchors(readFileSync(file, 'utf8')).includes(anchor) ? [] : [link];
  });
}

describe('links', () => {
  test.each(PAGES)('of %s lead to what is there', (page) => {
    expect(brokenLinks(join(ROOT, page))).toEqual([]);
  });

  test("of the package's pages lead to what it ships", () => {
    const directory = mkdtempSync(join(tmpdir(), 'pages-'));
    try {
      execFileSync('cp', ['-r', join(ROOT, 'config/examples'), directory]);
      execFileSync('cp', [join(ROOT, 'LICENSE'), join(directory, 'copyright')]);
      execFileSync(process.execPath, [join(ROOT, 'scripts/deb/pages.mjs'), directory]);
      const pages = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.md'),
      );
      const broken = pages.flatMap((page) => brokenLinks(join(directory, page)));
      expect(broken.filter((link) => !/\]\(\/(etc|usr\/share)\/secgroupd\//.test(link))).toEqual([]);
      expect(pages.toSorted()).toEqual([
        'README.md',
        'chores.md',
        'examples/README.md',
        'migration.md',
        'policy-file.md',
      ]);
      const text = readFileSync(join(directory, 'README.md'), 'utf8');
      expect(text).toContain('[config/README.md](policy-file.md)');
      expect(text).toContain(' test/README.md');
      expect(text).not.toContain('](test/');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('the first page', () => {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8');

  test('is read in two minutes', () => {
    expect(text.split('\n').length).toBeLessThanOrEqual(130);
  });

  test('names every command of sgctl, and no other', () => {
    const section = text.slice(text.indexOf('## Ten commands'), text.indexOf('## Guarantees'));
    const named = new Set(
      [...section.matchAll(/sgctl ([a-z]+)|`([a-z]+)`/g)].map(([, typed, alone]) => typed ?? alone ?? ''),
    );
    expect([...named].toSorted()).toEqual(COMMANDS.map(({ name }) => name).toSorted());
  });
});
