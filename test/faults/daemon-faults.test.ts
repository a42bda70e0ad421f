import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { sendInbound } from '../netns/harness/probe.ts';
import type { DaemonProcess } from '../netns/harness-daemon/daemon.ts';
import { mounting, replaceFile, type Site, useSite } from '../netns/harness-daemon/site.ts';
import { until } from '../netns/harness-daemon/until.ts';

let site: Site;
let identity = 0;

useSite((made) => {
  site = made;
});

beforeEach(() => {
  writeFileSync(at('real'), '');
  rmSync(at('mode'), { force: true });
  behave('exec "$real" "$@"');
});

function at(name: string): string {
  return join(site.directory, name);
}

function policy(port: number): string {
  return `version: 1
addressGroups:
  good: { addresses: [198.51.100.0/24, 203.0.113.9] }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${port}, source: { addressGroup: good } }
    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

async function open(): Promise<readonly number[]> {
  const ports = [80, 81, 82];
  const packets = ports.map((destinationPort) => {
    identity += 1;
    const common = { source: '203.0.113.9', destination: '10.77.0.1', protocol: 6 };
    return { ...common, sourcePort: 1_024 + identity, destinationPort, identity };
  });
  const arrived = await sendInbound(site.world, 'eth0', packets);
  return ports.filter((_, i) => arrived.has(packets[i]?.identity ?? 0));
}

/** Has the daemon's nft do what this shell script says; `$real` is nft, `$1` what it is asked for first. */
function behave(script: string): void {
  writeFileSync(at('nft'), `#!/bin/bash\nreal=${at('real')}\n${script}\n`, { mode: 0o755 });
}

/** A place where nft is what {@link behave} says. */
function withNft(): readonly string[] {
  const nft = execFileSync('bash', ['-c', 'realpath "$(command -v nft)"'], { encoding: 'utf8' }).trim();
  return mounting(`mount --bind ${nft} ${at('real')} && mount --bind ${at('nft')} ${nft}`);
}

/** Does something in the place where a daemon lives. */
async function inPlaceOf(daemon: DaemonProcess, script: string): Promise<void> {
  const enter = ['nsenter', '--target', String(daemon.pid), '--mount'];
  await site.world.exec(site.world.host, [...enter, 'bash', '-c', script]);
}

async function startWith80(wrapper: readonly string[]): Promise<DaemonProcess> {
  replaceFile(site.policyFile, policy(80));
  const daemon = await site.start({ wrapper });
  expect(await open()).toEqual([80]);
  return daemon;
}

/** Only scripts fail, not what is asked. */
const ONLY_SCRIPTS = 'if [[ $1 != -f ]]; then exec "$real" "$@"; fi';

describe('the program nft', () => {
  test.each([
    ['is missing', '#'],
    [
      'is refused',
      `${ONLY_SCRIPTS}; echo '/dev/stdin:1:1-3: Error: Could not process rule: Device or resource busy' >&2; exit 1`,
    ],
    ['is killed before it has done anything', 'kill -KILL $$'],
    ['is killed amid a script', `${ONLY_SCRIPTS}; head -c 400 >/dev/null; kill -KILL $$`],
    ['may not', `echo 'netlink: Error: cache initialization failed: Operation not permitted' >&2; exit 1`],
    ['fails without a word', 'exit 1'],
    ['prints what nobody expects', `${ONLY_SCRIPTS}; echo garbage; exit 3`],
  ])('%s: what was in force stays, it is told, and mended by itself', async (what, script) => {
    const daemon = await startWith80(withNft());
    const before = await site.table();
    behave(script);
    if (what === 'is missing') writeFileSync(at('nft'), '#!/no/such/shell\n', { mode: 0o755 });
    replaceFile(site.policyFile, policy(81));
    const { troubles, inForce } = await daemon.until('it is told', ({ state }) => state === 'failing');
    expect(troubles[0]?.message).toMatch(/^the kernel was not changed: /);
    expect(inForce?.generation).toBe(1);
    expect(await site.table()).toBe(before);
    expect(await open()).toEqual([80]);
    behave('exec "$real" "$@"');
    const mended = await daemon.until('it is in force', ({ state }) => state === 'enforced', 20_000);
    expect(mended.troubles).toEqual([]);
    expect(await open()).toEqual([81]);
    expect(await site.sgctl('verify')).toMatchObject({ exitCode: 0 });
  });

  test.each([
    [
      'answers ENOBUFS although it has done its work',
      `${ONLY_SCRIPTS}; "$real" "$@"; echo 'netlink: Error: Could not process rule: No buffer space available' >&2; exit 1`,
    ],
    ['is killed when it has done its work', `${ONLY_SCRIPTS}; "$real" "$@"; kill -KILL $$`],
  ])('%s: what is in force is found out, and right in the end', async (_, script) => {
    const daemon = await startWith80(withNft());
    behave(script);
    replaceFile(site.policyFile, policy(81));
    await daemon.until('it is told', () => daemon.log.some(({ msg }) => msg.startsWith('the kernel was not changed')));
    behave('exec "$real" "$@"');
    const { troubles } = await daemon.until('it is in force', ({ state }) => state === 'enforced', 20_000);
    expect(troubles).toEqual([]);
    expect(await open()).toEqual([81]);
    expect(await site.sgctl('verify')).toMatchObject({ exitCode: 0 });
  });

  test('is slow: saves meanwhile are one change, the newest', async () => {
    const daemon = await startWith80(withNft());
    behave(`${ONLY_SCRIPTS}; sleep 1; exec "$real" "$@"`);
    replaceFile(site.policyFile, policy(81));
    await wait(300);
    for (const port of [80, 81, 82]) {
      replaceFile(site.policyFile, policy(port));
      await wait(30);
    }
    expect(await open()).toEqual([80]);
    await until('the newest is in force', async () => (await open()).join() === '82', { within: 15_000 });
    await daemon.until('and nothing else is due', ({ state }) => state === 'enforced');
    expect((await daemon.status()).changesApplied).toBeLessThanOrEqual(3);
  });

  test.each([20, 200, 900])(
    'has its answers cut after %i bytes: nothing opens, and it is right in the end',
    async (bytes) => {
      const daemon = await startWith80(withNft());
      behave(`if [[ $1 != -f ]]; then "$real" "$@" | head -c ${bytes}; exit 0; fi; exec "$real" "$@"`);
      // Somebody else's change has the table looked at.
      await site.nft('insert rule inet secgroupd input accept');
      await wait(700);
      replaceFile(site.policyFile, policy(81));
      await wait(700);
      behave('exec "$real" "$@"');
      await until('it is right', async () => (await open()).join() === '81', { within: 20_000 });
      await daemon.until('it is in force', ({ state }) => state === 'enforced', 20_000);
      expect(await site.sgctl('verify')).toMatchObject({ exitCode: 0 });
    },
  );
});

describe('kill -9 of the daemon at each step of a change', () => {
  const steps = [1, 2, 3].flatMap((call) => (['before', 'after'] as const).map((when) => [when, call] as const));

  test.each(steps)(
    '%s its call %i of nft: all is as it was or as it is to be, and the next daemon finishes it',
    async (when, call) => {
      const daemon = await startWith80(withNft());
      const kill = 'kill -KILL $PPID';
      behave(`n=$(cat ${at('mode')} 2>/dev/null || echo 0); n=$((n+1)); echo $n >${at('mode')}
      if ((n == ${call})) && [[ ${when} == before ]]; then ${kill}; exit 1; fi
      "$real" "$@"; code=$?
      if ((n == ${call})); then ${kill}; fi
      exit $code`);
      // The pattern's chains go, and others come; members change beside them.
      replaceFile(site.policyFile, policy(81).replace('eth0:', '"eth*":'));
      const isKilled = await Promise.race([daemon.ended.then(() => true), wait(2_500).then(() => false)]);
      if (!isKilled) {
        // A change has no more steps than this.
        expect(call).toBeGreaterThan(2);
        daemon.signal('SIGKILL');
        await daemon.ended;
      }
      expect([[80], [81]]).toContainEqual(await open());
      behave('exec "$real" "$@"');
      const next = await site.start();
      expect(await open()).toEqual([81]);
      expect(await site.sgctl('verify')).toMatchObject({ exitCode: 0 });
      expect(await site.table()).not.toMatch(/chain in\/eth0\//);
      await next.stop();
    },
  );
});

describe('the disk', () => {
  test.each([
    ['is full', 'mount -t tmpfs -o size=512k tmpfs STATE', 'cat /dev/zero >STATE/fill; true', 'rm STATE/fill'],
    ['is read-only', 'mount -t tmpfs tmpfs STATE', 'mount -o remount,ro STATE', 'mount -o remount,rw STATE'],
    [
      'is gone',
      'mount -t tmpfs tmpfs STATE',
      'umount STATE; mount -t tmpfs -o ro,mode=000 tmpfs STATE',
      'umount STATE',
    ],
  ])(
    '%s: policies come into force all the same, it is told, and what boots the host is the last that could be written',
    async (_, prepare, spoil, mend) => {
      const here = (script: string): string => script.replaceAll('STATE', site.stateDirectory);
      mkdirSync(site.stateDirectory, { recursive: true });
      const daemon = await startWith80(mounting(here(prepare)));
      await inPlaceOf(daemon, here(spoil));
      replaceFile(site.policyFile, policy(81));
      const { troubles } = await daemon.until(
        'it is told',
        ({ changesApplied, troubles: some }) => changesApplied === 2 && some.length > 0,
      );
      expect(troubles[0]?.message).toMatch(/not kept for the next boot/);
      expect(await open()).toEqual([81]);
      expect((await site.sgctl('status')).stdout).toContain('not kept for the next boot');
      await inPlaceOf(daemon, here(mend));
      replaceFile(site.policyFile, policy(82));
      await daemon.until('it is well', (status) => status.changesApplied === 3 && status.troubles.length === 0);
      const kept = await site.world.exec(site.world.host, [
        ...['nsenter', '--target', String(daemon.pid), '--mount', 'cat', join(site.stateDirectory, 'last-good.nft')],
      ]);
      expect(kept.stdout).toContain('82');
      expect(kept.stdout).not.toMatch(/dport 81\b/);
    },
  );
});

describe('the policy', () => {
  test('directory is unmounted, and back: what was in force stays, it is told, and ends by itself', async () => {
    const etc = join(site.directory, 'etc');
    const daemon = await startWith80(mounting('true'));
    const before = await site.table();
    await inPlaceOf(daemon, `mount -t tmpfs tmpfs ${etc}`);
    // Nobody is told of a mount; somebody asks.
    await daemon.reload();
    const { refusal } = await daemon.until('it is told', ({ state }) => state === 'refused');
    expect(refusal?.text).toContain('does not exist');
    expect(await site.table()).toBe(before);
    await inPlaceOf(daemon, `umount ${etc}`);
    replaceFile(site.policyFile, policy(81));
    await daemon.reload();
    await daemon.until('it is in force', ({ state }) => state === 'enforced');
    expect(await open()).toEqual([81]);
    // And it is watched again.
    replaceFile(site.policyFile, policy(82));
    await until('it is in force', async () => (await open()).join() === '82');
  });

  test('directory is another file system from the start, taken away lazily, and another is put there', async () => {
    const etc = join(site.directory, 'etc');
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start({
      wrapper: mounting(
        `mount -t tmpfs -o mode=755 tmpfs ${etc} && cat >${site.policyFile} <<'END'\n${policy(80)}END\ntrue`,
      ),
    });
    await inPlaceOf(daemon, `umount -l ${etc}`);
    // What lies below is another policy, and comes into force once it is looked at.
    replaceFile(site.policyFile, policy(82));
    await daemon.reload();
    await until('it is in force', async () => (await open()).join() === '82');
  });

  test('cannot be read: what was in force stays', async () => {
    const daemon = await startWith80(mounting('true'));
    const before = await site.table();
    await inPlaceOf(daemon, `mount --bind /proc/self/mem ${site.policyFile}`);
    await daemon.reload();
    await daemon.until('it is told', ({ state }) => state === 'refused');
    expect(await site.table()).toBe(before);
    await inPlaceOf(daemon, `umount ${site.policyFile}`);
    await daemon.reload();
    await daemon.until('it is in force', ({ state }) => state === 'enforced');
  });
});

test('a clock that jumps changes nothing but what is told of the time', async () => {
  const jumping = at('jumping.cjs');
  // Each look at the clock finds it some years from where it was.
  writeFileSync(
    jumping,
    `const real = Date.now.bind(Date); let looks = 0;
    const now = () => real() + [0, 3e11, -3e11, 9e11, -6e11][looks++ % 5];
    const Real = Date;
    globalThis.Date = class extends Real { constructor(...args) { if (args.length === 0) super(now()); else super(...args); } static now() { return now(); } };`,
  );
  const daemon = await startWith80(['env', `NODE_OPTIONS=--require ${jumping}`]);
  for (const port of [81, 82, 80]) {
    replaceFile(site.policyFile, policy(port));
    await until('it is in force', async () => (await open()).join() === `${port}`);
  }
  writeFileSync(at('trial.yaml'), policy(81));
  expect(await site.sgctl('try', at('trial.yaml'), '--timeout', '2')).toMatchObject({
    exitCode: 0,
  });
  expect(await open()).toEqual([81]);
  await until('the trial is over', async () => (await open()).join() === '80', { within: 8_000 });
  await site.nft('delete', 'table', 'inet', 'secgroupd');
  await until('it is back', async () => (await open()).join() === '80');
  expect((await daemon.status()).state).toBe('enforced');
});

test('500 interfaces come and go: the daemon keeps up, and its own is judged all the while', async () => {
  replaceFile(
    site.policyFile,
    policy(80).replace(
      'eth0: { securityGroups: [web] }',
      'eth0: { securityGroups: [web] }, "sgd*": { securityGroups: [web] }',
    ),
  );
  const daemon = await site.start();
  const batch = (line: (i: number) => string): string => Array.from({ length: 500 }, (_, i) => line(i)).join('\n');
  await site.world.exec(site.world.host, ['ip', '-batch', '-'], {
    input: batch((i) => `link add sgd${i} group 4711 type bridge`),
  });
  await site.world.exec(site.world.host, ['ip', '-batch', '-'], {
    input: batch((i) => `address add 10.${100 + (i >> 8)}.${i & 255}.1/32 dev sgd${i}`),
  });
  expect(await open()).toEqual([80]);
  const { interfaces } = await daemon.until('all are known', (status) => status.interfaces.length === 501, 20_000);
  expect(interfaces.every(({ groups }) => groups.join() === 'web')).toBe(true);
  await site.world.exec(site.world.host, ['ip', 'link', 'delete', 'group', '4711']);
  await daemon.until('all are gone', (status) => status.interfaces.length === 1, 20_000);
  expect(await open()).toEqual([80]);
  expect((await daemon.status()).state).toBe('enforced');
  expect(await site.sgctl('verify')).toMatchObject({ exitCode: 0 });
});
