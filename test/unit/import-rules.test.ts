import { beforeAll, describe, expect, test } from 'vitest';
import {
  CORE,
  ENTRY_POINTS,
  expectJudged,
  FOLDER_IMPORTS,
  HOMELESS,
  INHABITED,
  lintPlants,
  type Plant,
  type Refusals,
  ROOMS,
} from './planted-lint.ts';

// The linter must refuse what src/README.md forbids: each forbidden thing is planted beside an allowed neighbour.

type Reach = 'all' | 'types';
type Reaches = Readonly<Record<string, Reach>>;

const WORDS: Reaches = { 'core/model': 'all', 'core/diagnostics': 'all' };
const QUESTION: Reaches = {
  ...WORDS,
  'core/read/3-resolve': 'all',
  'core/meaning/evaluate': 'all',
  'core/meaning/headerspace': 'all',
};
const ALL_OF_CORE: Reaches = Object.fromEntries([...CORE, 'core'].map((room) => [room, 'all']));
const PROGRAM: Reaches = { ...ALL_OF_CORE, api: 'all', kernel: 'all', host: 'all' };

/** What a room of src may import of the others; what is not named is forbidden. */
const MAY_IMPORT: Readonly<Record<string, Reaches>> = {
  'core/model': {},
  'core/diagnostics': { 'core/model': 'all' },
  'core/read/yaml': WORDS,
  'core/read/1-parse': { ...WORDS, 'core/read/yaml': 'all' },
  'core/read/2-analyze': { ...WORDS, 'core/read/1-parse': 'types' },
  'core/read/3-resolve': { ...WORDS, 'core/read/2-analyze': 'all' },
  'core/meaning': WORDS,
  'core/meaning/evaluate': WORDS,
  'core/meaning/headerspace': WORDS,
  'core/meaning/assert': QUESTION,
  'core/meaning/compare': QUESTION,
  'core/meaning/flows': QUESTION,
  'core/meaning/lint': QUESTION,
  'core/meaning/reach': QUESTION,
  'core/meaning/verify': QUESTION,
  'core/translate/4-compile': { 'core/model': 'all' },
  'core/translate/5-render': { 'core/model': 'all', 'core/translate/4-compile': 'types' },
  'core/translate/6-change': { 'core/model': 'all', 'core/translate/5-render': 'all' },
  core: ALL_OF_CORE,
  api: WORDS,
  kernel: WORDS,
  host: WORDS,
  daemon: PROGRAM,
  cli: PROGRAM,
};

/** Rooms whose folders of their own follow the same rule as the room. */
const DEEP = ROOMS.filter((room) => room !== 'core' && room !== 'core/meaning');

/** The folders of cli, each of which may import those before it. */
const CLI_FOLDERS = ['framework', 'present', 'input', 'actions', 'commands'];

const IMPORTS_RULE = 'eslint(no-restricted-imports)';

const groups: readonly (readonly [about: string, plants: readonly Plant[]])[] = [
  ...ROOMS.map((room) => [`imports of ${room}`, importsOf(room)] as const),
  ['every form of import', formsOfImport()],
  ['circles', circles()],
  ['packages', importsOfPackages()],
  ['the folders of cli', importsOfCliFolders()],
  ['imports of the oracle', importsOfTheOracle()],
];

let refusals: Refusals;

beforeAll(() => {
  refusals = lintPlants(groups.flatMap(([, plants]) => plants));
});

describe('the linter', () => {
  test('knows every room of src', () => {
    expect(HOMELESS.toSorted()).toEqual(ENTRY_POINTS.toSorted());
    expect(INHABITED.toSorted()).toEqual(ROOMS.toSorted());
  });

  test('finds no circle of folders in src', () => {
    expect(circleOf(FOLDER_IMPORTS)).toBeUndefined();
    expect(circleOf(new Map([...FOLDER_IMPORTS, ['core/model/net', new Set(['kernel/netlink'])]]))).toBeDefined();
  });

  test.each(groups)('judges %s', (_about, plants) => {
    expectJudged(plants, refusals);
  });
});

/** A folder that can be reached from itself; undefined where there is none. */
function circleOf(imports: ReadonlyMap<string, ReadonlySet<string>>): string | undefined {
  const reaches = (from: string, seen: Set<string>): ReadonlySet<string> => {
    for (const to of imports.get(from) ?? []) {
      if (seen.has(to)) continue;
      seen.add(to);
      reaches(to, seen);
    }
    return seen;
  };
  return [...imports.keys()].find((folder) => reaches(folder, new Set()).has(folder));
}

function importsOf(room: string): Plant[] {
  return [...importsOfRooms(room), ...importsBesideRooms(room)];
}

function importsOfRooms(from: string): Plant[] {
  return ROOMS.filter((to) => to !== from).flatMap((to) => {
    const reach = MAY_IMPORT[from]?.[to];
    const plant = (name: string, path: string, text: string, legal: boolean): Plant => ({
      name: `${from} importing ${name} of ${to}`,
      path,
      text,
      rule: legal ? undefined : IMPORTS_RULE,
    });
    const file = to.replaceAll('/', '-');
    const above = `${from.replace(/[^/]+/g, '..')}/${to}/target.ts`;
    return [
      plant('a value', `src/${from}/value-${file}.ts`, valueFrom(`#${to}/target.ts`), reach === 'all'),
      plant('a type', `src/${from}/type-${file}.ts`, typeFrom(`#${to}/target.ts`), reach !== undefined),
      plant('a value, by a path up,', `src/${from}/up-${file}.ts`, valueFrom(above), false),
      ...(DEEP.includes(from)
        ? [
            plant(
              'a value, from below,',
              `src/${from}/sub/value-${file}.ts`,
              valueFrom(`#${to}/target.ts`),
              reach === 'all',
            ),
            plant(
              'a type, from below,',
              `src/${from}/sub/type-${file}.ts`,
              typeFrom(`#${to}/target.ts`),
              reach !== undefined,
            ),
          ]
        : []),
    ];
  });
}

function importsBesideRooms(from: string): Plant[] {
  const up = from.replace(/[^/]+/g, '..');
  const plant = (name: string, file: string, specifier: string, legal: boolean): Plant => ({
    name: `${from} importing ${name}`,
    path: `src/${from}/${file}.ts`,
    text: valueFrom(specifier),
    rule: legal ? undefined : IMPORTS_RULE,
  });
  return [
    ...ENTRY_POINTS.map((file) => plant(file, `entry-${file.slice(0, -3)}`, `${up}/${file}`, false)),
    plant('from test', 'from-test', `${up}/../test/unit/target.ts`, false),
    plant('itself', 'own', './target.ts', true),
    ...(DEEP.includes(from)
      ? [
          plant('itself from below', 'sub/own', `#${from}/target.ts`, true),
          plant('itself from below by a path up', 'sub/up', '../target.ts', false),
        ]
      : []),
  ];
}

function formsOfImport(): Plant[] {
  const far = '#kernel/target.ts';
  const forms: Readonly<Record<string, string>> = {
    'an export-from': `export { target } from '${far}';\n`,
    'an export-all': `export * from '${far}';\n`,
    'a type re-export': `export type { Target } from '${far}';\n`,
    'a side-effect import': `import '${far}';\n`,
    'a dynamic import': `export const later = async () => import('${far}');\n`,
    'a roundabout path': valueFrom('./../../../kernel/target.ts'),
    'a path through a folder': valueFrom('./sub/../../../../kernel/target.ts'),
    'a path through another room': valueFrom('#core/model/../../kernel/target.ts'),
  };
  return [
    ...Object.entries(forms).map(([form, text], index) => ({
      name: `${form} out of evaluate into kernel`,
      path: `src/core/meaning/evaluate/form-${index}.ts`,
      text,
      rule: IMPORTS_RULE,
    })),
    ...['api', 'kernel', 'host', 'daemon', 'cli'].map((room) => ({
      name: `a path through another room, out of ${room}`,
      path: `src/${room}/form-through.ts`,
      text: valueFrom('#core/model/../../sgctl.ts'),
      rule: IMPORTS_RULE,
    })),
    {
      name: 'a named import out of evaluate into model',
      path: 'src/core/meaning/evaluate/form-legal.ts',
      text: valueFrom('#core/model/target.ts'),
      rule: undefined,
    },
    {
      name: 'a type written as import()',
      path: 'src/core/meaning/evaluate/form-type.ts',
      text: `export type Far = import('${far}').Target;\n`,
      rule: 'typescript(consistent-type-imports)',
    },
    {
      name: 'an inline type import of the phase before',
      path: 'src/core/read/2-analyze/inline-type.ts',
      text: "import { type Target, target } from '#core/read/1-parse/target.ts';\nexport const it: Target = target;\n",
      rule: IMPORTS_RULE,
    },
  ];
}

function circles(): Plant[] {
  const plant = (name: string, file: string, specifier: string, rule: string | undefined): Plant => ({
    name,
    path: `src/${file}.ts`,
    text: `export { target as ${name.replace(/[^a-z]/g, '')} } from '${specifier}';\n`,
    rule,
  });
  const rule = 'import(no-cycle)';
  return [
    plant('half a circle', 'kernel/circle-a', '#kernel/nftables/circle-b.ts', rule),
    plant('its other half', 'kernel/nftables/circle-b', '#kernel/circle-a.ts', rule),
    plant('a line', 'kernel/line-a', '#kernel/target.ts', undefined),
  ];
}

function importsOfPackages(): Plant[] {
  const impure = ['node:fs', 'node:process', 'pino', 'execa', 'netlink', 'netlink/dist/rt/rt.js'];
  const pure: Readonly<Record<string, string>> = {
    'core/read/yaml': 'yaml',
    'core/read/1-parse': 'zod',
    'core/read/2-analyze': 'ipaddr.js',
  };
  const plant = (from: string, specifier: string, rule: string | undefined): Plant => ({
    name: `${from} importing ${specifier}`,
    path: `src/${from}/package-${specifier.replace(/[^a-z]/g, '-')}.ts`,
    text: `export * from '${specifier}';\n`,
    rule,
  });
  return [
    ...[...CORE, 'core'].flatMap((from) => impure.map((name) => plant(from, name, IMPORTS_RULE))),
    ...Object.entries(pure).map(([from, name]) => plant(from, name, undefined)),
    plant('core/read/yaml', 'js-yaml', undefined),
    plant('core/model', 'yaml', IMPORTS_RULE),
    plant('core/read/1-parse', 'yaml', IMPORTS_RULE),
    plant('core/read/1-parse', 'js-yaml', IMPORTS_RULE),
    plant('core/meaning/evaluate', 'ipaddr.js', IMPORTS_RULE),
    plant('kernel', 'execa', undefined),
    plant('host', 'execa', undefined),
    plant('api', 'zod', undefined),
    plant('daemon', 'pino', undefined),
    plant('cli', 'node:fs', undefined),
  ];
}

function importsOfCliFolders(): Plant[] {
  const plant = (from: string, to: string, specifier: string, legal: boolean): Plant => ({
    name: `cli/${from} importing cli/${to}`,
    path: `src/cli/${from}/folder-${to}.ts`,
    text: valueFrom(specifier),
    rule: legal ? undefined : IMPORTS_RULE,
  });
  return CLI_FOLDERS.flatMap((from, index) => [
    ...CLI_FOLDERS.filter((to) => to !== from).map((to) =>
      plant(from, to, `#cli/${to}/target.ts`, CLI_FOLDERS.indexOf(to) < index),
    ),
    ...(from === 'commands' ? [] : [plant(from, 'commands-list', '#cli/target.ts', false)]),
  ]);
}

function importsOfTheOracle(): Plant[] {
  const plant = (specifier: string, legal: boolean): Plant => ({
    name: `the oracle importing ${specifier}`,
    path: `test/oracle/${specifier.replace(/[^a-z0-9]/g, '-')}.ts`,
    text: /^[.#]/.test(specifier) ? valueFrom(specifier) : `export * from '${specifier}';\n`,
    rule: legal ? undefined : IMPORTS_RULE,
  });
  return [
    ...ROOMS.map((to) => plant(`#${to}/target.ts`, to === 'core/model')),
    ...ROOMS.map((to) => plant(`../../src/${to}/target.ts`, false)),
    ...ENTRY_POINTS.map((file) => plant(`../../src/${file}`, false)),
    plant('../unit/target.ts', false),
    plant('node:fs', true),
    plant('fast-check', true),
  ];
}

function valueFrom(specifier: string): string {
  return `import { target } from '${specifier}';\nexport const it = target;\n`;
}

function typeFrom(specifier: string): string {
  return `import type { Target } from '${specifier}';\nexport type It = Target;\n`;
}
