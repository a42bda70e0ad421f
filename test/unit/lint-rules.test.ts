import { beforeAll, describe, test } from 'vitest';
import { CORE, ENTRY_POINTS, expectJudged, lintPlants, type Plant, type Refusals } from './planted-lint.ts';

// The linter must refuse what src/README.md forbids: each forbidden thing is planted beside an allowed neighbour.

const IMPORTS_RULE = 'eslint(no-restricted-imports)';

const groups: readonly (readonly [about: string, plants: readonly Plant[]])[] = [
  ['clock, process and timers in the core', surroundingsOfTheCore()],
  ['ends of the process', endsOfTheProcess()],
  ['the other rules', otherRules()],
];

let refusals: Refusals;

beforeAll(() => {
  refusals = lintPlants(groups.flatMap(([, plants]) => plants));
});

describe('the linter', () => {
  test.each(groups)('judges %s', (_about, plants) => {
    expectJudged(plants, refusals);
  });
});

function surroundingsOfTheCore(): Plant[] {
  const uses: Readonly<Record<string, string>> = {
    Date: 'export const now = Date.now();\n',
    'a new Date': 'export const now = new Date();\n',
    process: 'export const words = process.argv;\n',
    globalThis: 'export const words = globalThis.process.argv;\n',
    setTimeout: 'export const timer = setTimeout(() => 1, 1);\n',
  };
  const folders = [...CORE, 'core'].map((room) => `src/${room}`);
  return [
    ...folders.flatMap((folder) =>
      Object.entries(uses).map(([use, text]) => ({
        name: `${use} in ${folder}`,
        path: `${folder}/use-${use.replaceAll(' ', '-')}.ts`,
        text,
        rule: 'eslint(no-restricted-globals)',
      })),
    ),
    {
      name: 'Math.random in the core',
      path: 'src/core/translate/4-compile/use-random.ts',
      text: 'export const dice = Math.random();\n',
      rule: 'eslint(no-restricted-properties)',
    },
    {
      name: 'a clock in the shell',
      path: 'src/daemon/clock.ts',
      text: 'export const now = Date.now();\n',
      rule: undefined,
    },
  ];
}

function endsOfTheProcess(): Plant[] {
  const rule = 'eslint(no-restricted-properties)';
  return [
    ...['api', 'kernel', 'host', 'daemon', 'cli'].flatMap((folder) => [
      { name: `process.abort in ${folder}`, path: `src/${folder}/abort.ts`, text: 'process.abort();\n', rule },
      {
        name: `exit taken from node:process in ${folder}`,
        path: `src/${folder}/exit-import.ts`,
        text: "import { exit } from 'node:process';\nexport const end = exit;\n",
        rule: IMPORTS_RULE,
      },
      {
        name: `process.exit handed on in ${folder}`,
        path: `src/${folder}/exit-value.ts`,
        text: 'export const end = process.exit;\n',
        rule,
      },
    ]),
    ...ENTRY_POINTS.map((file) => ({
      name: `process.exit in ${file}`,
      path: `src/${file}`,
      text: 'process.exit(1);\nexport const target = 1;\n',
      rule: undefined,
    })),
  ];
}

function otherRules(): Plant[] {
  const plant = (name: string, text: string, rule: string | undefined, folder = 'daemon'): Plant => ({
    name,
    path: `src/${folder}/rule-${name.replace(/[^a-z]/g, '-')}.ts`,
    text,
    rule,
  });
  const union = "type Kind = 'a' | 'b';\nexport function nameOf(kind: Kind): number {\n  switch (kind) {\n";
  return [
    {
      name: 'a participle for a name',
      path: 'src/core/model/participle.ts',
      text: 'export const told = 1;\n',
      rule: 'eslint(id-denylist)',
    },
    {
      name: 'a noun for a name',
      path: 'src/core/model/noun.ts',
      text: 'export const report = 1;\n',
      rule: undefined,
    },
    plant(
      'a floating promise',
      'export function go(): void {\n  Promise.resolve(1);\n}\n',
      'typescript(no-floating-promises)',
    ),
    plant(
      'an awaited promise',
      'export async function go(): Promise<void> {\n  await Promise.resolve(1);\n}\n',
      undefined,
    ),
    plant('an any', 'export const it = (value: any) => value as string;\n', 'typescript(no-explicit-any)'),
    plant(
      'a switch that forgets',
      `${union}    case 'a':\n      return 1;\n  }\n  return 2;\n}\n`,
      'typescript(switch-exhaustiveness-check)',
    ),
    plant(
      'a switch that forgets nothing',
      `${union}    case 'a':\n      return 1;\n    case 'b':\n      return 2;\n  }\n}\n`,
      undefined,
    ),
    plant('a loose comparison', 'export const same = (a: string, b: string) => a == b;\n', 'eslint(eqeqeq)'),
    plant('an unused variable', 'const forgotten = 1;\n\nexport const used = 2;\n', 'eslint(no-unused-vars)'),
    plant(
      'a type imported as a value',
      "import { Target } from '../model/target.ts';\nexport const it: Target = 1;\n",
      'typescript(consistent-type-imports)',
    ),
    plant('console outside cli', "console.log('hello');\n", 'eslint(no-console)'),
    plant('console in cli', "console.log('hello');\n", undefined, 'cli'),
    plant(
      'half a cycle',
      "import { one } from './rule-the-other-half.ts';\nexport const two = () => one;\n",
      'import(no-cycle)',
    ),
    plant(
      'the other half',
      "import { two } from './rule-half-a-cycle.ts';\nexport const one = () => two;\n",
      'import(no-cycle)',
    ),
    plant('a default export', 'export default 1;\n', 'import(no-default-export)'),
  ];
}
