import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import type { ExecResult } from './harness/world.ts';
import { startFlood } from './harness-daemon/flood.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const BOOT = fileURLToPath(new URL('../../systemd/boot.sh', import.meta.url));

const SSH = 22;
const WEB = 80;
const MANAGED = 8443;
const DENIED = 81;

const POLICY = `version: 1
platform:
  management:
    - { protocol: tcp, ports: ${MANAGED}, source: 203.0.113.0/24 }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${WEB}, source: any }
      - { protocol: udp, ports: 53, source: { securityGroup: friends } }
    outbound:
      - { destination: any }
  friends: {}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
  friend: { interfaces: { eth0: { addresses: [192.0.2.77], securityGroups: [friends] } } }
`;

let site: Site;
let identity = 0;

useSite((made) => {
  site = made;
});

beforeEach(() => {
  replaceFile(site.policyFile, POLICY);
});

/** Boots as the unit does, with what boot.conf would say. */
function boot(...conf: readonly string[]): Promise<ExecResult> {
  const environment = [`STATE_DIRECTORY=${site.stateDirectory}`, ...conf];
  return site.world.exec(site.world.host, ['env', ...environment, BOOT], { reject: false });
}

/** Which TCP ports a stranger reaches. */
async function open(...more: readonly number[]): Promise<readonly number[]> {
  const sent = [SSH, WEB, MANAGED, DENIED, ...more].map((destinationPort) => {
    identity += 1;
    const ends = { source: '203.0.113.9', destination: '10.77.0.1', sourcePort: 1_024 + identity };
    return { ...ends, protocol: 6, destinationPort, identity };
  });
  const arrived = await sendInbound(site.world, 'eth0', sent);
  return sent.filter((one) => arrived.has(one.identity)).map(({ destinationPort }) => destinationPort);
}

/** Has a daemon bring the policy into force and keep it; then the machine is as after a reset. */
async function liveOnce(): Promise<void> {
  const daemon = await site.start();
  await daemon.stop();
  await powerOff();
}

function powerOff(): Promise<string> {
  return site.nft('delete table inet secgroupd');
}

function state(name: string): string {
  return join(site.stateDirectory, name);
}

/** Has this shell script stand where nft is, for `command` alone. */
function withNft(script: string, command: string): Promise<ExecResult> {
  const fake = join(site.directory, 'nft');
  writeFileSync(fake, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const bound = `mount --bind "$(realpath "$(command -v nft)")" ${site.directory}/real && mount --bind ${fake} "$(realpath "$(command -v nft)")" && ${command}`;
  writeFileSync(join(site.directory, 'real'), '');
  return site.world.exec(site.world.host, ['unshare', '--mount', 'bash', '-c', bound], { reject: false });
}

describe('boot.sh, without Node', () => {
  test('loads the rules last in force, with the members that came since', async () => {
    const daemon = await site.start();
    replaceFile(site.policyFile, POLICY.replace('192.0.2.77', '192.0.2.78'));
    await daemon.until('the member is known', ({ changesApplied }) => changesApplied === 2);
    await daemon.stop();
    const before = await site.nft('list', 'table', 'inet', 'secgroupd');
    expect(readFileSync(state('last-good-changes.nft'), 'utf8')).toContain('192.0.2.78');
    await powerOff();
    expect(await open()).toEqual([SSH, WEB, MANAGED, DENIED]);
    expect(await boot()).toMatchObject({ exitCode: 0, stdout: 'the rules last in force are in force' });
    expect(await open()).toEqual([WEB, MANAGED]);
    const after = await site.nft('list', 'table', 'inet', 'secgroupd');
    expect(after).toContain('192.0.2.78');
    expect(after).not.toContain('192.0.2.77');
    expect(before).not.toContain('192.0.2.77');
  });

  test('loads them where the last of the changes was cut off by a power failure', async () => {
    await liveOnce();
    writeFileSync(state('last-good-changes.nft'), 'add element inet secgroupd');
    expect((await boot()).exitCode).toBe(0);
    expect(await open()).toEqual([WEB, MANAGED]);
  });

  test('changes nothing where there are rules already', async () => {
    const daemon = await site.start();
    const before = await site.table();
    writeFileSync(state('last-good.nft'), 'delete table inet secgroupd\n');
    expect((await boot()).stdout).toContain('they stay');
    expect(await site.table()).toBe(before);
    await daemon.stop();
  });

  test.each([
    ['garbage', () => writeFileSync(state('last-good.nft'), Buffer.alloc(4096, 0xff))],
    ['cut off', () => writeFileSync(state('last-good.nft'), readFileSync(state('last-good.nft')).subarray(0, 900))],
    ['refused by the kernel', () => appendFileSync(state('last-good.nft'), 'delete chain inet secgroupd none\n')],
    ['empty', () => writeFileSync(state('last-good.nft'), '')],
    ['gone', () => rmSync(state('last-good.nft'))],
  ])('has management and ssh in where they are %s', async (_, spoil) => {
    await liveOnce();
    spoil();
    const { exitCode, stdout } = await boot();
    expect({ exitCode, told: stdout.includes('management and ssh in') }).toEqual({ exitCode: 0, told: true });
    expect(await open()).toEqual([SSH, MANAGED]);
    // From elsewhere management is not let in.
    const sent = { source: '198.51.100.1', destination: '10.77.0.1', protocol: 6, sourcePort: 9, identity: 9_999 };
    expect((await sendInbound(site.world, 'eth0', [{ ...sent, destinationPort: MANAGED }])).size).toBe(0);
  });

  test.each([
    ['22', [SSH]],
    ['22,8080', [SSH, 8080]],
    ['8080', [8080]],
    ['8000-8100', [8080]],
    ['nonsense', [SSH]],
    ['', [SSH]],
  ])('has ssh in, on ports `%s`, where there never were rules', async (ports, expected) => {
    expect((await boot(`SSH_PORTS=${ports}`)).exitCode).toBe(0);
    expect(await open(8080)).toEqual(expected);
  });

  test('does as FALLBACK says', async () => {
    expect(await boot('FALLBACK=open')).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('open') as string,
    });
    expect(await open()).toEqual([SSH, WEB, MANAGED, DENIED]);

    const own = join(site.directory, 'own.nft');
    writeFileSync(
      own,
      `table inet secgroupd { chain input { type filter hook input priority 0; policy drop; tcp dport ${DENIED} accept; }; }`,
    );
    expect((await boot(`FALLBACK=${own}`)).exitCode).toBe(0);
    expect(await open()).toEqual([DENIED]);
    await powerOff();

    for (const wrong of [join(site.directory, 'none.nft'), 'nothing']) {
      expect((await boot(`FALLBACK=${wrong}`)).exitCode).toBe(0);
      expect(await open()).toEqual([SSH]);
      await powerOff();
    }
  });

  describe('FALLBACK names a script', () => {
    const OWN = `table inet secgroupd { chain input { type filter hook input priority 0; policy drop; tcp dport ${DENIED} accept; }; }`;
    const OTHER = 12_345;
    const place = (name: string): string => join(site.directory, name);

    beforeEach(() => {
      for (const name of ['own', 'theirs']) mkdirSync(place(name), { mode: 0o755 });
      writeFileSync(place('own/boot.nft'), OWN);
      chmodSync(place('own/boot.nft'), 0o644);
    });
    afterEach(() => {
      for (const name of ['own', 'theirs']) rmSync(place(name), { recursive: true });
    });

    test.each<[string, () => string]>([
      ['itself', () => place('own/boot.nft')],
      [
        'by a symlink of another user, in a directory of root',
        () => {
          symlinkSync('boot.nft', place('own/link'));
          lchownSync(place('own/link'), OTHER, OTHER);
          return place('own/link');
        },
      ],
      [
        'in a directory of root in one that all write to, as /tmp is',
        () => {
          chmodSync(place('theirs'), 0o1777);
          mkdirSync(place('theirs/own'));
          renameSync(place('own/boot.nft'), place('theirs/own/boot.nft'));
          return `${place('theirs')}/./own/../own//boot.nft`;
        },
      ],
    ])('that root alone can change: %s', async (_, prepare) => {
      expect(await boot(`FALLBACK=${prepare()}`)).toMatchObject({ exitCode: 0, stderr: '' });
      expect(await open()).toEqual([DENIED]);
    });

    test.each<[string, () => string]>([
      [
        'it is theirs',
        () => {
          chownSync(place('own/boot.nft'), OTHER, 0);
          return place('own/boot.nft');
        },
      ],
      [
        'all may write to it',
        () => {
          chmodSync(place('own/boot.nft'), 0o666);
          return place('own/boot.nft');
        },
      ],
      [
        'its group may',
        () => {
          chmodSync(place('own/boot.nft'), 0o664);
          return place('own/boot.nft');
        },
      ],
      [
        'all may write to its directory',
        () => {
          chmodSync(place('own'), 0o777);
          return place('own/boot.nft');
        },
      ],
      [
        'its directory is in one of theirs',
        () => {
          chownSync(place('own'), OTHER, 0);
          mkdirSync(place('own/sub'));
          renameSync(place('own/boot.nft'), place('own/sub/boot.nft'));
          return place('own/sub/boot.nft');
        },
      ],
      [
        'a symlink leads through a directory of theirs',
        () => {
          chownSync(place('theirs'), OTHER, 0);
          symlinkSync('../own/boot.nft', place('theirs/link'));
          symlinkSync(place('theirs/link'), place('own/link'));
          return place('own/link');
        },
      ],
      [
        'all may write to its directory, sticky as it is',
        () => {
          chmodSync(place('own'), 0o1777);
          return place('own/boot.nft');
        },
      ],
    ])('that others can change, and is not loaded: %s', async (_, prepare) => {
      const { exitCode, stdout, stderr } = await boot(`FALLBACK=${prepare()}`);
      expect({ exitCode, stdout }).toEqual({
        exitCode: 0,
        stdout: expect.stringContaining('limited rules are in force') as string,
      });
      expect(stderr).toContain('others than root can change');
      expect(await open()).toEqual([SSH]);
    });
  });

  test.each([
    [0o644, [SSH, WEB, MANAGED, DENIED]],
    [0o666, [SSH]],
  ])('does what boot.conf says where it has mode %o, or does not', async (mode, expected) => {
    const conf = `mount -t tmpfs -o mode=755 tmpfs /etc && mkdir /etc/secgroupd && echo FALLBACK=open >/etc/secgroupd/boot.conf && chmod ${mode.toString(8)} /etc/secgroupd/boot.conf`;
    const command = `${conf} && STATE_DIRECTORY=${site.stateDirectory} FALLBACK=open ${BOOT}`;
    await site.world.exec(site.world.host, ['unshare', '--mount', 'sh', '-c', command]);
    expect(await open()).toEqual(expected);
  });

  test('holds the boot up no longer than it says, be it that nft hangs, and says when nothing could be loaded', async () => {
    await liveOnce();
    const began = performance.now();
    const command = `STATE_DIRECTORY=${site.stateDirectory} LOAD_SECONDS=1 ${BOOT}`;
    expect(await withNft('exec sleep 60', command)).toMatchObject({ exitCode: 1 });
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(await withNft('exit 1', command)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('this host is open') as string,
    });
    // The script in force is refused once, the limited one is loaded.
    const refusing = `case "$*" in *last-good*) exit 1;; esac; exec ${site.directory}/real "$@"`;
    expect(await withNft(refusing, command)).toMatchObject({ exitCode: 0 });
    expect(await open()).toEqual([SSH, MANAGED]);
  });
});

describe('the daemon takes over from boot.sh', () => {
  test.each([
    ['the rules last in force', liveOnce, [] as const],
    ['the limited rules', async () => undefined, ['FALLBACK=limited'] as const],
  ])('without a gap: %s', async (_, prepare, conf) => {
    mkdirSync(site.stateDirectory, { recursive: true });
    await prepare();
    expect((await boot(...conf)).exitCode).toBe(0);
    // ssh is open under the limited rules, and under these.
    replaceFile(site.policyFile, POLICY.replace(`ports: ${MANAGED}`, `ports: "${MANAGED},${SSH}"`));
    const isLimited = !existsSync(state('last-good.nft'));
    const packet = (destinationPort: number) => ({
      ...{ source: '203.0.113.9', destination: '10.77.0.1', protocol: 6, sourcePort: 4_000 },
      ...{ destinationPort, identity: 1 },
    });
    const flood = await startFlood(site.world, {
      interface: 'eth0',
      allowed: [packet(isLimited ? SSH : MANAGED)],
      forbidden: [packet(DENIED)],
      rate: 5_000,
      mostSeconds: 20,
    });
    const daemon = await site.start();
    const { lost, leaked, entered } = await flood.stop();
    expect({ lost, leaked }).toEqual({ lost: 0, leaked: 0 });
    expect(entered.forbidden).toBeGreaterThan(100);
    expect(await open()).toEqual([SSH, WEB, MANAGED]);
    expect(await site.sgctl('verify')).toMatchObject({ exitCode: 0 });
    await daemon.stop();
  });

  test('and leaves what is right as it is', async () => {
    await liveOnce();
    await boot();
    const before = await site.table();
    const daemon = await site.start();
    expect(await site.table()).toBe(before);
    await daemon.stop();
  });
});
