import { memberAddresses, policyWithList } from './generated-members.ts';
import { type PolicyTexts, policyText, type RulesSpec } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { OUR_COLUMNS, openOurs, recordTimes } from './ours.ts';
import { FIREWALLD } from './peers/firewalld.ts';
import type { Peer } from './peers/peer.ts';
import { IPTABLES, LINEAR } from './peers/plain.ts';
import { UFW } from './peers/ufw.ts';
import { TooLong } from './run.ts';
import { createSite, loadNft, type Site, unload } from './site.ts';

const SAME = 'nft -f, same rules';

/** Those that take their seconds are asked less often. */
const SLOW: readonly string[] = [UFW.name, FIREWALLD.name];

function slowRounds({ rules }: RulesSpec): number {
  return rules > 1_000 ? 1 : 3;
}

/** How long it takes until rules are in force for the first time, and after one of them was edited. */
export async function ruleChanges(settings: Settings): Promise<readonly Result[]> {
  const { root, scratch, quick, progress } = settings;
  const kinds = [LINEAR, IPTABLES, UFW, FIREWALLD].filter((kind) => kind.isPresent());
  const cold: Row[] = [];
  const edit: Row[] = [];
  const site = await createSite(root, [OUR_COLUMNS.whole, SAME, ...kinds.map(({ name }) => name)]);
  const peers: Peer[] = [];
  try {
    for (const kind of kinds) peers.push(await kind.open(scratch, site.host(kind.name).namespace));
    const bench = { site, peers };
    for (const groups of [false, true]) {
      for (const rules of quick ? [100, 1_000] : [100, 1_000, 10_000]) {
        const spec = { rules, family: 'ipv4', groups } as const;
        const rounds = rules > 1_000 ? 3 : quick ? 5 : 9;
        progress(`${rules} rules, cold`);
        cold.push(await measureCold(bench, spec, rounds));
        progress(`${rules} rules, an edit`);
        edit.push(await measureEdits(bench, spec, rounds));
      }
    }
    for (const rules of quick ? [1_000] : [1_000, 10_000]) {
      progress(`${rules} rules and a list, cold`);
      cold.push(await measureColdList(site, rules, 3));
    }
  } finally {
    for (const peer of peers) await peer.close();
    await site.destroy();
  }
  return [
    { name: 'cold-apply', title: 'from a policy to its rules in an empty kernel', unit: 'ms', floor: SAME, rows: cold },
    { name: 'rule-edit', title: 'from an edit of one rule to it in force', unit: 'ms', floor: SAME, rows: edit },
  ];
}

interface Bench {
  readonly site: Site;
  readonly peers: readonly Peer[];
}

async function measureCold({ site, peers }: Bench, spec: RulesSpec, rounds: number): Promise<Row> {
  const samples = emptySamples();
  const missing: Record<string, string> = {};
  const saying = peers.filter((peer) => peer.write(spec));
  for (let round = 0; round < rounds; round += 1) {
    await coldOnce(site, { text: policyText(spec) }, samples);
    for (const peer of saying) {
      await attempt({ peer, round, spec, missing, samples }, async () => {
        await peer.stop();
        return peer.start();
      });
    }
  }
  for (const peer of saying) await peer.stop();
  return { case: caseOf(spec), cells: cellsOf(samples, SAME), missing };
}

async function measureColdList(site: Site, rules: number, rounds: number): Promise<Row> {
  const entries = memberAddresses(100_000);
  const samples = emptySamples();
  const texts = policyWithList({ rules, family: 'ipv4', groups: true }, entries);
  for (let round = 0; round < rounds; round += 1) await coldOnce(site, texts, samples);
  return {
    case: { rules, remotes: 'a third groups', list: entries.length },
    cells: cellsOf(samples, SAME),
  };
}

async function coldOnce(site: Site, texts: PolicyTexts, samples: Samples): Promise<void> {
  const [ours, same] = [OUR_COLUMNS.whole, SAME].map((name) => site.host(name).namespace) as [string, string];
  for (const namespace of [ours, same]) unload(namespace);
  const steps = openOurs(ours);
  try {
    const { times } = await steps.begin(texts);
    recordTimes(samples, times);
    samples.get(SAME)?.push(loadNft(same, await steps.wholeText()));
  } finally {
    await steps.close();
  }
}

async function measureEdits({ site, peers }: Bench, spec: RulesSpec, rounds: number): Promise<Row> {
  const [ours, same] = [OUR_COLUMNS.whole, SAME].map((name) => site.host(name).namespace) as [string, string];
  const samples = emptySamples();
  const missing: Record<string, string> = {};
  for (const namespace of [ours, same]) unload(namespace);
  const steps = openOurs(ours);
  await steps.begin({ text: policyText(spec) });
  const saying = peers.filter((peer) => peer.write(spec));
  for (const peer of saying) {
    await attempt({ peer, round: 0, spec, missing }, () => peer.start());
  }
  for (let round = 0; round < rounds; round += 1) {
    const next = { ...spec, edited: round % 2 === 0 };
    const { times } = await steps.change({ text: policyText(next) });
    recordTimes(samples, times);
    // The script of a whole ruleset replaces the table, which is how rules kept in a file are reloaded.
    samples.get(SAME)?.push(loadNft(same, await steps.wholeText()));
    for (const peer of saying) {
      peer.write(next);
      await attempt({ peer, round, spec, missing, samples }, () => peer.reload());
    }
  }
  await steps.close();
  for (const peer of saying) await peer.stop();
  return { case: caseOf(spec), cells: cellsOf(samples, SAME), missing };
}

interface Attempt {
  readonly peer: Peer;
  readonly round: number;
  readonly spec: RulesSpec;
  /** Why there is no sample of a column; grows. */
  readonly missing: Record<string, string>;
  readonly samples?: Samples;
}

/** Takes a sample of a peer, unless it has had enough rounds for as slow as it is, or was given up. */
async function attempt(
  { peer: { name }, round, spec, missing, samples }: Attempt,
  sample: () => Promise<number> | number,
): Promise<void> {
  if (missing[name] !== undefined || (SLOW.includes(name) && round >= slowRounds(spec))) return;
  try {
    const milliseconds = await sample();
    samples?.get(name)?.push(milliseconds);
  } catch (error) {
    if (!(error instanceof TooLong)) throw error;
    missing[name] = error.message;
  }
}

function caseOf({ rules, groups }: RulesSpec): Row['case'] {
  return { rules, remotes: groups ? 'a third groups' : 'networks', list: '' };
}

type Samples = ReadonlyMap<string, number[]>;

function emptySamples(): Samples {
  const columns = [...Object.values(OUR_COLUMNS), SAME, ...[LINEAR, IPTABLES, UFW, FIREWALLD].map(({ name }) => name)];
  return new Map(columns.map((column) => [column, []]));
}
