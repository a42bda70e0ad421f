import type { InForce } from '../../src/model/in-force.ts';
import { membersPolicyText, memberAddresses } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { change, OUR_COLUMNS, recordTimes } from './ours.ts';
import { createSite, loadNft } from './site.ts';

const BARE = 'nft add/delete element';

/** Whoever joins and leaves. */
const JOINING = '203.0.113.9';

/** How long it takes until one host that joins a group, or leaves it, is in the kernel's set or out of it. */
export async function members({ root, quick, huge, progress }: Settings): Promise<readonly Result[]> {
  const sizes = [1_000, 100_000, ...(huge ? [1_000_000] : [])];
  const rows: Row[] = [];
  for (const size of sizes) {
    progress(`${size} members`);
    const rounds = size > 100_000 ? 1 : size > 1_000 ? (quick ? 2 : 5) : quick ? 5 : 15;
    rows.push(...(await measureSize(root, size, rounds)));
  }
  return [{ name: 'members', title: 'one member of a group joins or leaves', unit: 'ms', floor: BARE, rows }];
}

async function measureSize(root: string, size: number, rounds: number): Promise<readonly Row[]> {
  const site = await createSite(root, [OUR_COLUMNS.whole, BARE]);
  try {
    const ours = site.host(OUR_COLUMNS.whole).namespace;
    const bare = site.host(BARE).namespace;
    const without = memberAddresses(size);
    const texts = { join: membersPolicyText([...without, JOINING]), leave: membersPolicyText(without) };
    loadNft(bare, `table inet bare {\n set members { type ipv4_addr; elements = {\n${without.join(',\n')}\n} }\n}\n`);
    let inForce: InForce = (await change(ours, texts.leave, undefined)).inForce;
    const samples = { join: emptySamples(), leave: emptySamples() };
    for (let round = 0; round < rounds; round += 1) {
      for (const what of ['join', 'leave'] as const) {
        const { times, kind, inForce: next } = await change(ours, texts[what], inForce);
        if (kind !== 'elements') throw new Error(`a change of members became a ${kind}`);
        inForce = next;
        recordTimes(samples[what], times);
        const verb = what === 'join' ? 'add' : 'delete';
        samples[what].get(BARE)?.push(loadNft(bare, `${verb} element inet bare members { ${JOINING} }\n`));
      }
    }
    return (['join', 'leave'] as const).map((what) => ({
      case: { members: size, change: what },
      cells: cellsOf(samples[what], BARE),
    }));
  } finally {
    await site.destroy();
  }
}

function emptySamples(): Map<string, number[]> {
  return new Map([...Object.values(OUR_COLUMNS), BARE].map((column) => [column, []]));
}
