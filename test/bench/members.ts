import { createHome, type RunningDaemon, startDaemon } from './daemon.ts';
import { listPolicyTexts, memberAddresses, membersPolicyText } from './generated-members.ts';
import type { PolicyTexts } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { OUR_COLUMNS, openOurs, recordTimes, TRANSACTIONS } from './ours.ts';
import { FIREWALLD, Firewalld } from './peers/firewalld.ts';
import { UFW, Ufw } from './peers/ufw.ts';
import { TooLong } from './run.ts';
import { saveAndTime } from './saves.ts';
import { createSite, loadNft, type Site } from './site.ts';

const DAEMON = 'daemon, from the save';
const BARE = 'nft add/delete element';
const COLUMNS = [...Object.values(OUR_COLUMNS), DAEMON, BARE, FIREWALLD.name, UFW.name];

/** Whoever joins and leaves. */
const JOINING = '203.0.113.9';

/** A group of so many, as instances that are its members, or as a list file. */
interface Group {
  readonly kind: 'instances' | 'list file';
  readonly size: number;
}

/** How long it takes until one address that joins a group, or leaves it, is in the kernel's set or out of it. */
export async function members(settings: Settings): Promise<readonly Result[]> {
  const groups: readonly Group[] = [
    { kind: 'instances', size: 1_000 },
    { kind: 'instances', size: 100_000 },
    { kind: 'list file', size: 1_000 },
    { kind: 'list file', size: 100_000 },
    ...(settings.quick ? [] : [{ kind: 'list file', size: 1_000_000 } as const]),
  ];
  const rows: Row[] = [];
  for (const group of groups) {
    settings.progress(`${group.size} members, as ${group.kind}`);
    rows.push(...(await measureGroup(settings, group)));
  }
  return [{ name: 'members', title: 'one member of a group joins or leaves', unit: 'ms', floor: BARE, rows }];
}

const CHANGES = ['join', 'leave'] as const;
type Change = (typeof CHANGES)[number];
type Samples = Readonly<Record<Change, ReadonlyMap<string, number[]>>>;

async function measureGroup(settings: Settings, group: Group): Promise<readonly Row[]> {
  const { quick } = settings;
  const rounds = group.size > 100_000 ? 2 : group.size > 1_000 ? (quick ? 2 : 5) : quick ? 5 : 15;
  const site = await createSite(settings.root, COLUMNS);
  const samples: Samples = { join: emptySamples(), leave: emptySamples() };
  try {
    await measureOurs(site, group, rounds, samples);
    await measureDaemon({ site, settings, group, rounds, samples });
    const missing = await measurePeers({ site, settings, group, rounds, samples });
    return CHANGES.map((what) => ({
      case: { members: group.size, as: group.kind, change: what },
      cells: cellsOf(samples[what], BARE),
      missing,
    }));
  } finally {
    await site.destroy();
  }
}

function textsOf({ kind, size }: Group): Readonly<Record<Change, PolicyTexts>> {
  const without = memberAddresses(size);
  const of = (addresses: readonly string[]): PolicyTexts =>
    kind === 'list file' ? listPolicyTexts(addresses) : { text: membersPolicyText(addresses) };
  return { join: of([...without, JOINING]), leave: of(without) };
}

async function measureOurs(site: Site, group: Group, rounds: number, samples: Samples): Promise<void> {
  const ours = site.host(OUR_COLUMNS.whole).namespace;
  const bare = site.host(BARE).namespace;
  const elements = memberAddresses(group.size).join(',\n');
  loadNft(bare, `table inet bare {\n set members { type ipv4_addr; elements = {\n${elements}\n} }\n}\n`);
  const texts = textsOf(group);
  const steps = openOurs(ours);
  try {
    await steps.begin(texts.leave);
    for (let round = 0; round < rounds; round += 1) {
      for (const what of CHANGES) {
        const { times, kind } = await steps.change(texts[what]);
        if (kind !== 'elements') throw new Error(`a change of members became a ${kind}`);
        recordTimes(samples[what], times);
        const verb = what === 'join' ? 'add' : 'delete';
        samples[what].get(BARE)?.push(loadNft(bare, `${verb} element inet bare members { ${JOINING} }\n`));
      }
    }
  } finally {
    await steps.close();
  }
}

/** What a measurement of one column is done with. */
interface Measured {
  readonly site: Site;
  readonly settings: Settings;
  readonly group: Group;
  readonly rounds: number;
  readonly samples: Samples;
}

async function measureDaemon({ site, settings, group, rounds, samples }: Measured): Promise<void> {
  const { root, scratch } = settings;
  const host = site.host(DAEMON);
  const texts = textsOf(group);
  const home = createHome(scratch, texts.leave);
  let daemon: RunningDaemon | undefined;
  try {
    daemon = await startDaemon(root, { namespace: host.namespace, home });
    for (let i = 0; i < 2 * rounds; i += 1) {
      const what = i % 2 === 0 ? 'join' : 'leave';
      const { text, list } = texts[what];
      const save = {
        host,
        file: list === undefined ? home.policyFile : home.listFile,
        text: list ?? text,
        transactions: TRANSACTIONS.elements,
        generation: i + 2,
      };
      samples[what].get(DAEMON)?.push(await saveAndTime(save));
    }
  } finally {
    await daemon?.stop();
    home.remove();
  }
}

/** The peers' samples; returns why there are none of a peer. */
async function measurePeers(measured: Measured): Promise<Readonly<Record<string, string>>> {
  const { settings, group } = measured;
  const missing: Record<string, string> = {};
  // A group is one to them, whatever it is written as here.
  if (group.kind === 'list file') return missing;
  if (FIREWALLD.isPresent()) {
    if (group.size > 1_000 && settings.quick) missing[FIREWALLD.name] = 'not tried with --quick';
    else await measureFirewalld(measured, missing);
  }
  if (UFW.isPresent()) {
    if (group.size > 1_000) missing[UFW.name] = 'no sets, and a rule each is too much';
    else await measureUfw(measured);
  }
  return missing;
}

async function measureFirewalld(
  { site, settings, group, rounds, samples }: Measured,
  missing: Record<string, string>,
): Promise<void> {
  const firewalld = await Firewalld.open(settings.scratch, site.host(FIREWALLD.name).namespace);
  try {
    firewalld.writeMembers(memberAddresses(group.size));
    await firewalld.start();
    for (let round = 0; round < Math.min(rounds, 5); round += 1) {
      samples.join.get(FIREWALLD.name)?.push(firewalld.changeMember('addEntry', JOINING));
      samples.leave.get(FIREWALLD.name)?.push(firewalld.changeMember('removeEntry', JOINING));
    }
  } catch (error) {
    if (!(error instanceof TooLong)) throw error;
    missing[FIREWALLD.name] = error.message;
  } finally {
    await firewalld.close();
  }
}

async function measureUfw({ site, settings, group, rounds, samples }: Measured): Promise<void> {
  const ufw = await Ufw.open(settings.scratch, site.host(UFW.name).namespace);
  try {
    ufw.writeMembers(memberAddresses(group.size));
    await ufw.start();
    for (let round = 0; round < Math.min(rounds, 5); round += 1) {
      samples.join.get(UFW.name)?.push(ufw.changeMember('add', JOINING));
      samples.leave.get(UFW.name)?.push(ufw.changeMember('delete', JOINING));
    }
  } finally {
    await ufw.close();
  }
}

function emptySamples(): ReadonlyMap<string, number[]> {
  return new Map(COLUMNS.map((column) => [column, []]));
}
