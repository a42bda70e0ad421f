import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createRandom } from '../fuzz/random.ts';
import type { DaemonProcess } from '../netns/harness-daemon/daemon.ts';
import { startFlood } from '../netns/harness-daemon/flood.ts';
import { replaceFile, type Site, useSite } from '../netns/harness-daemon/site.ts';

/** How long it lasts: ten minutes see more changes than most hosts see in a day. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 8);

const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);

const ALLOWED = 80;
const DENIED = 81;

/** Between two events, in milliseconds, at the most. */
const LONGEST_PAUSE = 150;

/** A stranger's changes are further apart than those that are taken for a fight, in milliseconds. */
const BETWEEN_STRANGERS = 15_000;

let site: Site;
let daemon: DaemonProcess;

useSite((made) => {
  site = made;
});

const random = createRandom(SEED);

/** What the policy says that traffic does not depend on. */
const state = { rules: 5, members: 2, list: 10, pattern: false };

function policy(): string {
  const rules = Array.from(
    { length: state.rules },
    (_, i) =>
      `      - { protocol: udp, ports: ${2_000 + i}, source: { addressGroup: many }, priority: ${1 + (i % 9)} }`,
  );
  const members = Array.from(
    { length: state.members },
    (_, i) => `  friend-${i}: { interfaces: { eth0: { addresses: [192.0.2.${i + 1}], securityGroups: [friends] } } }`,
  );
  return `version: 1
addressGroups:
  many: { file: many.txt }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${ALLOWED}, source: any }
      - { protocol: udp, ports: 53, source: { securityGroup: friends } }
${rules.join('\n')}
    outbound:
      - { destination: any }
  friends: {}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] }${state.pattern ? ', "sg*": { securityGroups: [web] }' : ''} } }
${members.join('\n')}
`;
}

function list(): string {
  return Array.from({ length: state.list }, (_, i) => `10.${i >> 8}.${i & 255}.${random.below(256)}\n`).join('');
}

function save(): void {
  replaceFile(site.policyFile, policy());
}

let strangerAt = 0;
let links = 0;

/** What happens to a host; each leaves it as able to go on as it was. */
const EVENTS: Readonly<Record<string, () => unknown>> = {
  'rules change': () => {
    state.rules = random.below(60);
    save();
  },
  'members change': () => {
    state.members = random.below(20);
    save();
  },
  'a list changes': () => {
    state.list = random.below(2_000);
    replaceFile(join(site.directory, 'etc/many.txt'), list());
  },
  'interfaces are named': () => {
    state.pattern = !state.pattern;
    save();
  },
  'a save has a mistake': async () => {
    replaceFile(site.policyFile, policy().replace('protocol: tcp', 'protocol: tpc'));
    await wait(random.below(200));
    save();
  },
  'a save is made in place, bit by bit': async () => {
    const text = policy();
    writeFileSync(site.policyFile, text.slice(0, random.below(text.length)));
    await wait(random.below(50));
    writeFileSync(site.policyFile, text);
  },
  'a drop-in comes and goes': () =>
    site.world.exec(site.world.host, [
      'sh',
      '-c',
      `mkdir -p ${site.dropIns} && echo 'securityGroups: { extra: {} }' >${site.dropIns}/a.yaml; sleep 0.05; rm ${site.dropIns}/a.yaml`,
    ]),
  'an interface comes and goes': async () => {
    links += 1;
    await site.world.exec(site.world.host, ['ip', 'link', 'add', `sg${links}`, 'type', 'bridge']);
    await site.world.exec(site.world.host, ['ip', 'address', 'add', `10.200.0.${links % 250}/32`, 'dev', `sg${links}`]);
    await wait(random.below(100));
    await site.world.exec(site.world.host, ['ip', 'link', 'delete', `sg${links}`]);
  },
  'a stranger changes our table': async () => {
    if (performance.now() - strangerAt < BETWEEN_STRANGERS) return;
    strangerAt = performance.now();
    await site.nft('insert rule inet secgroupd input counter');
  },
  'a stranger changes a table of its own': () => site.nft('add table inet theirs; delete table inet theirs'),
  'somebody looks': async () => {
    for (const command of ['status', 'stats', 'history']) await site.sgctl(command);
  },
  'a reload is asked for': () => daemon.reload(),
  'something is tried': async () => {
    await site.sgctl('try', site.policyFile, '--timeout', '5');
    await site.sgctl('rollback');
  },
};

interface Sample {
  readonly kilobytes: number;
  readonly handles: number;
  readonly threads: number;
}

function sample(): Sample {
  const text = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  const number = (name: string): number => Number(new RegExp(`^${name}:\\s*([0-9]+)`, 'm').exec(text)?.[1]);
  return {
    kilobytes: number('VmRSS'),
    handles: readdirSync(`/proc/${daemon.pid}/fd`).length,
    threads: number('Threads'),
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

test(`${SECONDS} s of a busy life leave the daemon as it was, and the kernel as the policy says`, {
  timeout: (SECONDS + 180) * 1_000,
}, async () => {
  replaceFile(join(site.directory, 'etc/many.txt'), list());
  save();
  daemon = await site.start();
  await wait(1_000);
  const atFirst = sample();
  const packet = (destinationPort: number) => ({
    ...{ source: '203.0.113.9', destination: '10.77.0.1', protocol: 6, sourcePort: 4_000 },
    ...{ destinationPort, identity: 1 },
  });
  const flood = await startFlood(site.world, {
    interface: 'eth0',
    allowed: [packet(ALLOWED)],
    forbidden: [packet(DENIED)],
    rate: 2_000,
    mostSeconds: SECONDS + 120,
  });
  const counts: Record<string, number> = {};
  const samples: Sample[] = [];
  const deadline = performance.now() + SECONDS * 1_000;
  let sampleAt = 0;
  while (performance.now() < deadline) {
    const [what, happen] = random.of(Object.entries(EVENTS)) ?? ['', () => undefined];
    counts[what] = (counts[what] ?? 0) + 1;
    await happen();
    await wait(random.below(LONGEST_PAUSE));
    if (performance.now() >= sampleAt) {
      samples.push(sample());
      sampleAt = performance.now() + 1_000;
    }
  }
  save();
  await daemon.until('all is in force', ({ state: now, trial }) => now === 'enforced' && trial === null, 20_000);
  const { entered, lost, leaked } = await flood.stop();
  // What waits for the host to be at rest has done its work by then.
  await wait(7_000);
  const atLast = sample();
  const quarter = Math.floor(samples.length / 4);
  const [second, last] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)].map((some) =>
    median(some.map(({ kilobytes }) => kilobytes)),
  );
  const { changesApplied, driftsMended, troubles } = await daemon.status();
  console.log(
    `${SECONDS} s, seed ${SEED}: ${Object.values(counts).reduce((sum, count) => sum + count, 0)} events, ${changesApplied} changes in force, ${driftsMended} of strangers put right; of ${entered.allowed} allowed packets ${lost} were lost, of ${entered.forbidden} forbidden ones ${leaked} came in; memory ${atFirst.kilobytes} kB at first, ${second} and ${last} in the second and last quarter, ${atLast.kilobytes} at last; ${atFirst.handles} handles at first, ${atLast.handles} at last`,
  );
  expect({ lost, leaked, troubles }).toEqual({ lost: 0, leaked: 0, troubles: [] });
  expect(await site.sgctl('verify', site.policyFile, '--instance', 'host')).toMatchObject({ exitCode: 0 });
  expect(atLast.handles).toBeLessThanOrEqual(atFirst.handles + 2);
  expect(atLast.threads).toBeLessThanOrEqual(atFirst.threads + 1);
  // The first quarter is that of a program that has not seen everything yet.
  if (quarter >= 60) expect(last).toBeLessThan((second ?? 0) * 1.15);
  expect(statSync(join(site.stateDirectory, 'last-good.nft')).size).toBeLessThan(1_000_000);
  // The note of what was tried last stays beside the policy: it counts until its time is up, and for a confirm alone.
  const left = readdirSync(join(site.directory, 'etc')).filter((name) => name !== '.policy.yaml.tried');
  expect(left.toSorted()).toEqual(['many.txt', 'policy.d', 'policy.yaml']);
});
