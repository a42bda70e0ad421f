import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '#cli/commands.ts';
import { dropInSchema } from '#core/read/1-parse/policy-schema.ts';
import { buildPrograms, PROGRAMS } from './harness-daemon/programs.ts';

let directory: string;

beforeAll(() => {
  buildPrograms();
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-shells-'));
  for (const name of ['bash', 'zsh', 'fish'])
    writeFileSync(join(directory, name), execFileSync(process.execPath, [PROGRAMS.sgctl, 'completion', name]));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** What a shell prints; it is in a folder of its own, with one file in it. */
function shell(...argv: readonly string[]): string {
  const [program = '', ...args] = argv;
  const folder = mkdtempSync(join(directory, 'folder-'));
  writeFileSync(join(folder, 'policy.yaml'), '');
  return execFileSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, TERM: 'dumb' },
  });
}

/** Command lines, the last word of which is completed, and words among those that are offered, and not. */
const LINES: readonly (readonly [
  line: readonly string[],
  offered: readonly string[],
  notOffered: readonly string[],
])[] = [
  [['sgctl', ''], ['check', 'plan', 'completion'], ['--json']],
  [['sgctl', 'pl'], ['plan'], ['check']],
  [['sgctl', 'plan', '--a'], ['--against'], ['--json']],
  [['sgctl', 'check', '--'], ['--json', '--help'], ['--against']],
  [
    ['sgctl', 'explain', '--direction', ''],
    ['inbound', 'outbound'],
    ['--direction', 'tcp'],
  ],
  [['sgctl', 'explain', '--state', 're'], ['reply', 'related'], ['new']],
  [['sgctl', 'completion', ''], ['bash', 'zsh', 'fish'], ['policy.yaml']],
  [['secgroupd', '--trust', ''], ['root', 'any'], ['--trust']],
  [['secgroupd', '--'], ['--policy', '--once'], ['--json']],
];

/** Where files are offered. */
const FILES: readonly (readonly string[])[] = [
  ['sgctl', 'check', 'pol'],
  ['sgctl', 'plan', '--against', 'pol'],
  ['secgroupd', '--policy', 'pol'],
];

describe('completion', () => {
  const bash = (words: readonly string[]): readonly string[] => {
    const list = words.map((word) => `'${word}'`).join(' ');
    const script = `source '${join(directory, 'bash')}'
      COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _${words[0] ?? ''}; printf '%s\\n' "\${COMPREPLY[@]}"; complete -p ${words[0] ?? ''}`;
    return shell('bash', '-c', script).split('\n');
  };
  const fish = (words: readonly string[]): readonly string[] =>
    shell('fish', '--no-config', '-c', `source '${join(directory, 'fish')}'; complete -C '${words.join(' ')}'`)
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '');

  test.each(LINES)('of %j in bash and fish', (words, offered, notOffered) => {
    for (const found of [bash(words), fish(words)]) {
      expect(found).toEqual(expect.arrayContaining([...offered]));
      for (const word of notOffered) expect(found).not.toContain(word);
    }
  });

  test.each(FILES)('of files: %s %s %s', (...words) => {
    // bash is left to complete files by itself where nothing is offered.
    expect(bash(words)).toEqual(['', `complete -o default -F _${words[0] ?? ''} ${words[0] ?? ''}`, '']);
    expect(fish(words)).toContain('policy.yaml');
  });

  test('is taken by zsh for both programs, and offers the commands', () => {
    const script = `
      fpath=('${directory}/functions' $fpath)
      autoload -Uz compinit && compinit -D -u
      print -r -- $_comps[sgctl] $_comps[secgroupd]
      _describe() { print -rl -- $commands }
      CURRENT=2 words=(sgctl '') service=sgctl
      source '${join(directory, 'zsh')}'
      _arguments() { print -rl -- "$@" }
      CURRENT=3 words=(sgctl explain '') service=sgctl
      source '${join(directory, 'zsh')}'`;
    execFileSync('mkdir', ['-p', join(directory, 'functions')]);
    writeFileSync(join(directory, 'functions/_sgctl'), readFileSync(join(directory, 'zsh')));
    const printed = shell('zsh', '-f', '-c', script);
    expect(printed.split('\n')[0]).toBe('_sgctl _sgctl');
    for (const { name } of COMMANDS) expect(printed).toContain(`\n${name}:`);
    expect(printed).toContain('--direction[inbound or outbound]:DIR:(inbound outbound)\n');
    expect(printed).not.toContain('--against');
  });
});

describe('manual pages', () => {
  const folder = join(dirname(PROGRAMS.sgctl), 'man');
  const pages = (): readonly string[] => readdirSync(folder);
  const shown = (name: string): string => shell('mandoc', '-T', 'ascii', join(folder, name)).replace(/.\u0008/g, '');

  test('are in order, as mandoc sees them', () => {
    expect(pages()).toEqual(['secgroupd-chores.7', 'secgroupd-policy.5', 'secgroupd.8', 'sgctl.8']);
    for (const name of pages()) {
      // A page that is made anew by each build has no date.
      const complaints = shell('sh', '-c', `mandoc -T lint -W warning '${join(folder, name)}' || true`);
      expect(complaints.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([]);
    }
  });

  test('name every command and option, and every key of the policy with what it means', () => {
    const sgctl = shown('sgctl.8');
    for (const { name, options } of COMMANDS) {
      expect(sgctl).toContain(`sgctl ${name}`);
      for (const option of Object.keys(options)) expect(sgctl).toContain(`--${option}`);
    }
    expect(shown('secgroupd.8')).toContain('--log-level LEVEL');
    const policy = readFileSync(join(folder, 'secgroupd-policy.5'), 'utf8');
    for (const key of Object.keys(dropInSchema.shape)) expect(policy).toContain(`.B ${key}\n`);
    for (const heading of [
      'securityGroups NAME inbound (an inbound rule)',
      'platform management (a management rule)',
      'lint',
    ])
      expect(policy).toContain(`.SS ${heading}\n`);
    expect(policy).not.toMatch(/\.TP\n\.B [^\n]*\n(?:\n|\.TP)/);
  });
});
