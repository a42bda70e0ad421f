import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHome, startDaemon } from './daemon.ts';
import { policyText } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { createSite, unload } from './site.ts';

const START = 'start to enforced';
const RESIDENT = 'resident';
const PEAK = 'peak';
const NFT_PEAK = 'peak of nft';

/** How fast the daemon starts on an unfiltered host, and what memory it and its nft take. */
export async function footprint({ root, scratch, quick, progress }: Settings): Promise<readonly Result[]> {
  const site = await createSite(root, ['daemon']);
  const starts: Row[] = [];
  const memory: Row[] = [];
  try {
    const { namespace } = site.host('daemon');
    for (const rules of quick ? [100, 1_000] : [100, 1_000, 10_000]) {
      const samples = new Map([START, RESIDENT, PEAK, NFT_PEAK].map((column) => [column, [] as number[]]));
      for (let round = 0; round < (quick ? 3 : 7); round += 1) {
        progress(`${rules} rules, start ${round + 1}`);
        await startOnce({ root, scratch, namespace, rules, samples });
      }
      await weighNft({ root, scratch, namespace, rules, samples });
      const cells = cellsOf(samples, undefined);
      starts.push({ case: { rules }, cells: cells.filter(({ column }) => column === START) });
      memory.push({ case: { rules }, cells: cells.filter(({ column }) => column !== START) });
    }
  } finally {
    await site.destroy();
  }
  return [
    { name: 'start', title: 'the daemon, from its start', unit: 'ms', floor: undefined, rows: starts },
    { name: 'memory', title: 'the daemon, a second after its start', unit: 'MB', floor: undefined, rows: memory },
  ];
}

interface Start extends Pick<Settings, 'root' | 'scratch'> {
  readonly namespace: string;
  readonly rules: number;
  readonly samples: ReadonlyMap<string, number[]>;
}

async function startOnce({ root, scratch, namespace, rules, samples }: Start): Promise<void> {
  unload(namespace);
  const home = createHome(scratch, { text: policyText({ rules, family: 'ipv4', groups: true }) });
  try {
    const daemon = await startDaemon(root, { namespace, home });
    await new Promise((resolve) => {
      setTimeout(resolve, 1_000);
    });
    const { resident, peak } = daemon.memory();
    await daemon.stop();
    samples.get(START)?.push(daemon.startMilliseconds);
    samples.get(RESIDENT)?.push(resident);
    samples.get(PEAK)?.push(peak);
  } finally {
    home.remove();
  }
}

/** Another start, with something in nft's place that watches nft; it would take part in the times. */
async function weighNft({ root, scratch, namespace, rules, samples }: Start): Promise<void> {
  unload(namespace);
  const home = createHome(scratch, { text: policyText({ rules, family: 'ipv4', groups: true }) });
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
    const daemon = await startDaemon(root, { namespace, home, path });
    await daemon.stop();
    if (!existsSync(log)) throw new Error('the daemon ran an nft that nobody watched');
    const peaks = readFileSync(log, 'utf8').trim().split('\n').map(Number);
    samples.get(NFT_PEAK)?.push(Math.max(...peaks) / 1_024);
  } finally {
    home.remove();
  }
}
