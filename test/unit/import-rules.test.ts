import { beforeAll, describe, expect, test } from 'vitest';
import {
  CORE,
  ENTRY_POINTS,
  expectJudged,
  FOLDERS,
  foldersFound,
  lintPlants,
  type Plant,
  type Refusals,
  ROOT_FILES,
} from './planted-lint.ts';

// The linter must refuse what the architecture forbids: each forbidden thing is planted beside an allowed neighbour.

type Reach = 'all' | 'types';

const VOCABULARY: Readonly<Record<string, Reach>> = { model: 'all', diagnostics: 'all' };
const ALL_BUT_PROGRAMS: Readonly<Record<string, Reach>> = Object.fromEntries(
  [...CORE, 'nft', 'host'].map((folder) => [folder, 'all']),
);

/** What a folder of src may import of the others; what is not named is forbidden. */
const MAY_IMPORT: Readonly<Record<string, Readonly<Record<string, Reach>>>> = {
  model: {},
  diagnostics: { model: 'all' },
  '1-parse': VOCABULARY,
  '2-analyze': { ...VOCABULARY, '1-parse': 'types' },
  '3-compile': { ...VOCABULARY, '2-analyze': 'types' },
  '4-render': { ...VOCABULARY, '3-compile': 'types' },
  evaluate: VOCABULARY,
  nft: VOCABULARY,
  host: VOCABULARY,
  daemon: ALL_BUT_PROGRAMS,
  cli: ALL_BUT_PROGRAMS,
};

const IMPORTS_RULE = 'eslint(no-restricted-imports)';

const groups: readonly (readonly [about: string, plants: readonly Plant[]])[] = [
  ...FOLDERS.map((folder) => [`imports of ${folder}`, importsOf(folder)] as const),
  ['every form of import', formsOfImport()],
  ['imports of files beside the entry points', importsOfThePipeline()],
  ['packages', importsOfPackages()],
  ['imports of the oracle', importsOfTheOracle()],
];

let refusals: Refusals;

beforeAll(() => {
  refusals = lintPlants(groups.flatMap(([, plants]) => plants));
});

describe('the linter', () => {
  test('knows every folder of src', () => {
    expect(foldersFound.toSorted()).toEqual(FOLDERS.toSorted());
  });

  test.each(groups)('judges %s', (_about, plants) => {
    expectJudged(plants, refusals);
  });
});

function importsOf(folder: string): Plant[] {
  return [...importsOfFolders(folder), ...importsOfRootFiles(folder)];
}

function importsOfFolders(from: string): Plant[] {
  return FOLDERS.filter((to) => to !== from).flatMap((to) => {
    const reach = MAY_IMPORT[from]?.[to];
    const plant = (name: string, path: string, text: string, legal: boolean): Plant => ({
      name: `${from} importing ${name} of ${to}`,
      path,
      text,
      rule: legal ? undefined : IMPORTS_RULE,
    });
    return [
      plant('a value', `src/${from}/value-${to}.ts`, valueFrom(`../${to}/target.ts`), reach === 'all'),
      plant('a type', `src/${from}/type-${to}.ts`, typeFrom(`../${to}/target.ts`), reach !== undefined),
      plant(
        'a value, from below,',
        `src/${from}/sub/value-${to}.ts`,
        valueFrom(`../../${to}/target.ts`),
        reach === 'all',
      ),
      plant(
        'a type, from below,',
        `src/${from}/sub/type-${to}.ts`,
        typeFrom(`../../${to}/target.ts`),
        reach !== undefined,
      ),
    ];
  });
}

function importsOfRootFiles(from: string): Plant[] {
  const outer = from === 'daemon' || from === 'cli';
  return [
    ...ROOT_FILES.map((file) => ({
      name: `${from} importing ${file}`,
      path: `src/${from}/root-${file}`,
      text: valueFrom(`../${file}`),
      rule: outer && !ENTRY_POINTS.includes(file) ? undefined : IMPORTS_RULE,
    })),
    {
      name: `${from} importing from test`,
      path: `src/${from}/from-test.ts`,
      text: valueFrom('../../test/unit/target.ts'),
      rule: IMPORTS_RULE,
    },
    { name: `${from} importing itself`, path: `src/${from}/own.ts`, text: valueFrom('./target.ts'), rule: undefined },
    {
      name: `${from} importing itself from below`,
      path: `src/${from}/sub/own.ts`,
      text: valueFrom('../target.ts'),
      rule: undefined,
    },
  ];
}

function formsOfImport(): Plant[] {
  const forms: Readonly<Record<string, string>> = {
    'an export-from': "export { target } from '../nft/target.ts';\n",
    'an export-all': "export * from '../nft/target.ts';\n",
    'a type re-export': "export type { Target } from '../nft/target.ts';\n",
    'a side-effect import': "import '../nft/target.ts';\n",
    'a dynamic import': "export const later = async () => import('../nft/target.ts');\n",
    'a roundabout path': valueFrom('./../nft/target.ts'),
    'another roundabout path': valueFrom('./sub/../../nft/target.ts'),
    'a path through its own folder': valueFrom('../model/../nft/target.ts'),
  };
  return [
    ...Object.entries(forms).map(([form, text], index) => ({
      name: `${form} out of evaluate into nft`,
      path: `src/evaluate/form-${index}.ts`,
      text,
      rule: IMPORTS_RULE,
    })),
    {
      name: 'a named import out of evaluate into model',
      path: 'src/evaluate/form-legal.ts',
      text: valueFrom('../model/target.ts'),
      rule: undefined,
    },
    {
      name: 'a type written as import()',
      path: 'src/evaluate/form-type.ts',
      text: "export type Far = import('../nft/target.ts').Target;\n",
      rule: 'typescript(consistent-type-imports)',
    },
    {
      name: 'an inline type import of the phase before',
      path: 'src/2-analyze/inline-type.ts',
      text: "import { type Target, target } from '../1-parse/target.ts';\nexport const it: Target = target;\n",
      rule: IMPORTS_RULE,
    },
  ];
}

function importsOfThePipeline(): Plant[] {
  return [
    ...FOLDERS.map((to) => ({
      name: `a file beside the entry points importing ${to}`,
      path: `src/beside-${to}.ts`,
      text: valueFrom(`./${to}/target.ts`),
      rule: CORE.includes(to) ? undefined : IMPORTS_RULE,
    })),
    {
      name: 'a file beside the entry points importing one of them',
      path: 'src/beside-entry.ts',
      text: valueFrom('./sgctl.ts'),
      rule: IMPORTS_RULE,
    },
  ];
}

function importsOfPackages(): Plant[] {
  const impure = ['node:fs', 'node:process', 'pino', 'execa', 'netlink', 'netlink/dist/rt/rt.js'];
  const pure: Readonly<Record<string, readonly string[]>> = { '1-parse': ['yaml', 'zod'], '2-analyze': ['ipaddr.js'] };
  const plant = (from: string, specifier: string, rule: string | undefined): Plant => ({
    name: `${from} importing ${specifier}`,
    path: `src/${from}/package-${specifier.replace(/[^a-z]/g, '-')}.ts`,
    text: `export * from '${specifier}';\n`,
    rule,
  });
  return [
    ...CORE.flatMap((from) => impure.map((name) => plant(from, name, IMPORTS_RULE))),
    ...Object.entries(pure).flatMap(([from, names]) => names.map((name) => plant(from, name, undefined))),
    plant('model', 'yaml', IMPORTS_RULE),
    plant('evaluate', 'ipaddr.js', IMPORTS_RULE),
    plant('nft', 'execa', undefined),
    plant('host', 'netlink', undefined),
    plant('daemon', 'pino', undefined),
    plant('cli', 'node:fs', undefined),
  ];
}

function importsOfTheOracle(): Plant[] {
  const plant = (specifier: string, legal: boolean): Plant => ({
    name: `the oracle importing ${specifier}`,
    path: `test/oracle/${specifier.replace(/[^a-z0-9]/g, '-')}.ts`,
    text: specifier.startsWith('.') ? valueFrom(specifier) : `export * from '${specifier}';\n`,
    rule: legal ? undefined : IMPORTS_RULE,
  });
  return [
    ...FOLDERS.map((to) => plant(`../../src/${to}/target.ts`, to === 'model')),
    ...ROOT_FILES.map((file) => plant(`../../src/${file}`, false)),
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
