import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { explain } from '#cli/commands/explain.ts';
import { EXIT } from '#cli/framework/command.ts';
import { runCommand } from '#cli/framework/program.ts';
import { streamsOnto } from '#cli/framework/streams.ts';
import { type ConformanceCase, type ConformanceFile, caseToPolicy } from './convert.ts';

const { cases } = parse(await readFile(new URL('./cases.yaml', import.meta.url), 'utf8')) as ConformanceFile;

/** What `sgctl explain --batch` answers to one query, as far as these tests look. */
interface Answer {
  readonly verdict?: 'allow' | 'deny';
  readonly reason?: string;
  readonly error?: string;
}

/** Cases of one policy: one run of the program answers for all of them. */
function casesByPolicy(): ReadonlyMap<string, readonly ConformanceCase[]> {
  const groups = new Map<string, ConformanceCase[]>();
  for (const one of cases) {
    const { policyText } = caseToPolicy(one);
    groups.set(policyText, [...(groups.get(policyText) ?? []), one]);
  }
  return groups;
}

let directory: string;
const answers = new Map<string, Answer>();

/** Runs `sgctl explain --batch` over queries and returns its answers; throws if any of them could not be understood. */
async function explainBatch(policyText: string, queries: readonly object[]): Promise<Answer[]> {
  const [policy, batch] = [join(directory, 'policy.yaml'), join(directory, 'queries')];
  await writeFile(policy, policyText);
  await writeFile(batch, queries.map((query) => `${JSON.stringify(query)}\n`).join(''));
  const said = { out: '', err: '' };
  const status = await runCommand('sgctl', explain, {
    args: ['--batch', batch, '--policy', policy],
    streams: streamsOnto(
      { out: { write: (text) => (said.out += text) }, err: { write: (text) => (said.err += text) } },
      true,
    ),
  });
  if (status !== EXIT.success) throw new Error(`exit status ${status}: ${said.err}${said.out}`);
  return said.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conformance-'));
  for (const [policyText, group] of casesByPolicy()) {
    const found = await explainBatch(
      policyText,
      group.map((one) => caseToPolicy(one).query),
    );
    group.forEach(({ id }, index) => answers.set(id, found[index] ?? {}));
  }
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe('sgctl explain --batch', () => {
  test.each(cases.map((one) => [one.id, one] as const))('%s', (id, { expected }) => {
    expect(answers.get(id)).toMatchObject({ verdict: expected });
  });

  test.each(cases.filter(({ tags }) => tags.includes('platform-exemption')).map(({ id }) => id))(
    '%s passes as built-in traffic, with no rule',
    (id) => {
      expect(answers.get(id)).toMatchObject({ reason: 'platform', rule: null });
    },
  );
});
