import type { InForce } from '../../src/model/in-force.ts';
import { scriptText } from '../../src/model/script.ts';
import { linearScript } from './firewalls.ts';
import { policyText, type RulesSpec } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { change, OUR_COLUMNS, recordTimes } from './ours.ts';
import { createSite, loadNft, unload } from './site.ts';

const SAME = 'nft -f, same rules';
const LINEAR = 'nft -f, linear rules';

const LINEAR_RESET = 'add table inet linear\ndelete table inet linear\n';

/** How long it takes until rules are in force for the first time, and after one of them was edited. */
export async function ruleChanges({ root, quick, progress }: Settings): Promise<readonly Result[]> {
  const cold: Row[] = [];
  const edit: Row[] = [];
  const site = await createSite(root, [OUR_COLUMNS.whole, SAME, LINEAR]);
  const of = (name: string): string => site.host(name).namespace;
  try {
    const namespaces = { ours: of(OUR_COLUMNS.whole), same: of(SAME), linear: of(LINEAR) };
    for (const rules of quick ? [100, 1_000] : [100, 1_000, 10_000]) {
      const rounds = rules > 1_000 ? 3 : quick ? 5 : 9;
      progress(`${rules} rules, cold`);
      cold.push({ case: { rules }, cells: await measureCold(namespaces, rules, rounds) });
      progress(`${rules} rules, an edit`);
      edit.push({ case: { rules }, cells: await measureEdits(namespaces, rules, rounds) });
    }
  } finally {
    await site.destroy();
  }
  return [
    { name: 'cold-apply', title: 'from a policy to its rules in an empty kernel', unit: 'ms', floor: SAME, rows: cold },
    { name: 'rule-edit', title: 'from an edit of one rule to it in force', unit: 'ms', floor: SAME, rows: edit },
  ];
}

interface Namespaces {
  readonly ours: string;
  readonly same: string;
  readonly linear: string;
}

async function measureCold({ ours, same, linear }: Namespaces, rules: number, rounds: number): Promise<Row['cells']> {
  const spec: RulesSpec = { rules, family: 'ipv4', groups: true };
  const text = policyText(spec);
  const samples = emptySamples();
  for (let round = 0; round < rounds; round += 1) {
    for (const namespace of [ours, same, linear]) unload(namespace);
    const { times, whole } = await change(ours, text, undefined);
    recordTimes(samples, times);
    samples.get(SAME)?.push(loadNft(same, scriptText(whole())));
    samples.get(LINEAR)?.push(loadNft(linear, linearScript(spec)));
  }
  return cellsOf(samples, SAME);
}

async function measureEdits({ ours, same, linear }: Namespaces, rules: number, rounds: number): Promise<Row['cells']> {
  const spec: RulesSpec = { rules, family: 'ipv4', groups: true };
  const edited = { ...spec, edited: true };
  for (const namespace of [ours, same, linear]) unload(namespace);
  let inForce: InForce = (await change(ours, policyText(spec), undefined)).inForce;
  loadNft(linear, linearScript(spec));
  const samples = emptySamples();
  for (let round = 0; round < rounds; round += 1) {
    const next = round % 2 === 0 ? edited : spec;
    const made = await change(ours, policyText(next), inForce);
    inForce = made.inForce;
    recordTimes(samples, made.times);
    // The script of a whole ruleset replaces the table, which is how rules kept in a file are reloaded.
    samples.get(SAME)?.push(loadNft(same, scriptText(made.whole())));
    samples.get(LINEAR)?.push(loadNft(linear, LINEAR_RESET + linearScript(next)));
  }
  return cellsOf(samples, SAME);
}

function emptySamples(): Map<string, number[]> {
  return new Map([...Object.values(OUR_COLUMNS), SAME, LINEAR].map((column) => [column, []]));
}
