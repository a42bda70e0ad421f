import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHome, startDaemon } from './daemon.ts';
import { memberAddresses, policyWithList } from './generated-members.ts';
import { type PolicyTexts, policyText, type RulesSpec } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { FIREWALLD, Firewalld } from './peers/firewalld.ts';
import { createSite, unload } from './site.ts';

const START = 'start to enforced';
const RESIDENT = 'resident';
const PEAK = 'peak';
const NFT_PEAK = 'peak of nft';
const TOGETHER = 'peaks together';

/** How fast the daemon starts on an unfiltered host, and what memory it and its nft take. */
export async function footprint(settings: Settings): Promise<readonly Result[]> {
  const { root, quick, progress } = settings;
  const site = await createSite(root, ['daemon']);
  const starts: Row[] = [];
  const memory: Row[] = [];
  try {
    const bench = { ...settings, namespace: site.host('daemon').namespace };
    for (const rules of quick ? [100, 1_000] : [100, 1_000, 10_000]) {
      progress(`${rules} rules, starts`);
      starts.push(await measureStarts(bench, rules));
    }
    for (const load of loadsOf(settings)) {
      progress(`memory, ${load.policy}`);
      memory.push(await weigh(bench, load));
    }
  } finally {
    await site.destroy();
  }
  const settled = settleSeconds(settings);
  return [
    { name: 'start', title: 'the daemon, from its start', unit: 'ms', floor: undefined, rows: starts },
    { name: 'memory', title: `${settled} s after the start`, unit: 'MB', floor: undefined, rows: memory },
  ];
}

interface Bench extends Settings {
  readonly namespace: string;
}

/** Ten seconds let the garbage of the start be collected. */
function settleSeconds({ quick }: Settings): number {
  return quick ? 3 : 10;
}

async function measureStarts({ root, scratch, namespace, quick }: Bench, rules: number): Promise<Row> {
  const samples: number[] = [];
  for (let round = 0; round < (quick || rules > 1_000 ? 3 : 7); round += 1) {
    unload(namespace);
    const home = createHome(scratch, { text: policyText({ rules, family: 'ipv4', groups: true }) });
    try {
      const daemon = await startDaemon(root, { namespace, home });
      await daemon.stop();
      samples.push(daemon.startMilliseconds);
    } finally {
      home.remove();
    }
  }
  return { case: { rules }, cells: cellsOf(new Map([[START, samples]]), undefined) };
}

/** What a daemon has to hold. */
interface Load {
  readonly policy: string;
  readonly texts: PolicyTexts;
  /** The daemon's instance; found out by itself in the policy that comes with the program. */
  readonly instance: string | undefined;
  /** The same for firewalld. */
  readonly firewalld: FirewalldLoad;
}

type FirewalldLoad =
  | { readonly kind: 'as installed' }
  | { readonly kind: 'rules'; readonly spec: RulesSpec }
  | { readonly kind: 'left out'; readonly reason: string };

function loadsOf({ root, quick }: Settings): readonly Load[] {
  const spec = { rules: 1_000, family: 'ipv4', groups: false } as const;
  const most = { ...spec, rules: quick ? 1_000 : 10_000, groups: true };
  const entries = memberAddresses(100_000);
  return [
    {
      policy: 'as installed',
      texts: { text: readFileSync(join(root, 'config/policy.yaml'), 'utf8') },
      instance: undefined,
      firewalld: { kind: 'as installed' },
    },
    { policy: '1000 rules', texts: { text: policyText(spec) }, instance: 'host', firewalld: { kind: 'rules', spec } },
    {
      policy: `${most.rules} rules, a list of 100000`,
      texts: policyWithList(most, entries),
      instance: 'host',
      firewalld: { kind: 'left out', reason: 'not tried: it starts for a minute' },
    },
  ];
}

async function weigh(bench: Bench, load: Load): Promise<Row> {
  const { root, scratch, namespace } = bench;
  const missing: Record<string, string> = {};
  const samples = new Map([RESIDENT, PEAK, NFT_PEAK, TOGETHER, FIREWALLD.name].map((name) => [name, [] as number[]]));
  unload(namespace);
  const home = createHome(scratch, load.texts);
  try {
    const daemon = await startDaemon(root, { namespace, home, instance: load.instance });
    await sleep(1_000 * settleSeconds(bench));
    const { resident, peak } = daemon.memory();
    await daemon.stop();
    const nft = await weighNft(bench, load);
    samples.get(RESIDENT)?.push(resident);
    samples.get(PEAK)?.push(peak);
    samples.get(NFT_PEAK)?.push(nft);
    samples.get(TOGETHER)?.push(peak + nft);
  } finally {
    home.remove();
  }
  if (FIREWALLD.isPresent()) {
    if (load.firewalld.kind === 'left out') missing[FIREWALLD.name] = load.firewalld.reason;
    else samples.get(FIREWALLD.name)?.push(await weighFirewalld(bench, load.firewalld));
  }
  return { case: { policy: load.policy }, cells: cellsOf(samples, undefined), missing };
}

/** Another start, with something in nft's place that watches nft; it would take part in the times. */
async function weighNft({ root, scratch, namespace }: Bench, { texts, instance }: Load): Promise<number> {
  unload(namespace);
  const home = createHome(scratch, texts);
  try {
    const real = spawnSync('which', ['nft'], { encoding: 'utf8' }).stdout.trim();
    const path = join(home.folder, 'bin');
    const log = join(home.folder, 'nft-peaks');
    mkdirSync(path);
    writeFileSync(
      join(path, 'nft'),
      `#!/bin/sh\nexec python3 -B ${join(root, 'test/bench/nft-peak.py')} ${real} ${log} "$@"\n`,
    );
    chmodSync(join(path, 'nft'), 0o755);
    const daemon = await startDaemon(root, { namespace, home, path, instance });
    await daemon.stop();
    if (!existsSync(log)) throw new Error('the daemon ran an nft that nobody watched');
    const peaks = readFileSync(log, 'utf8').trim().split('\n').map(Number);
    return Math.max(...peaks) / 1_024;
  } finally {
    home.remove();
  }
}

async function weighFirewalld(bench: Bench, load: FirewalldLoad): Promise<number> {
  unload(bench.namespace);
  const firewalld = await Firewalld.open(bench.scratch, bench.namespace);
  try {
    if (load.kind === 'rules') firewalld.write(load.spec);
    await firewalld.start();
    await sleep(1_000 * settleSeconds(bench));
    return firewalld.memory().resident;
  } finally {
    await firewalld.close();
  }
}
