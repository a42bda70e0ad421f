import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Status } from '#api/status.ts';
import type { DaemonProcess } from './harness-daemon/daemon.ts';
import { openPortsOf } from './harness-daemon/open-ports.ts';
import { reached, replaceFile, type Site, useSite } from './harness-daemon/site.ts';

/** What a person who saves a file may have to wait. */
const WITHIN = 2_000;

/** TCP port `port` is open from anywhere; and whatever the drop-ins and lists say. */
function policy(port: number, more = ''): string {
  return `version: 1
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${port}, source: any }
${more}instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

const LISTED = `      - { protocol: tcp, ports: 7000, source: { addressGroup: listed } }
addressGroups:
  listed: { file: lists/listed.txt }
`;

/** Comments of so many bytes, so that writing the file takes several pieces. */
function padding(bytes: number): string {
  return `# ${'x'.repeat(98)}\n`.repeat(Math.ceil(bytes / 101));
}

let site: Site;

useSite((made) => {
  site = made;
});

const openPorts = openPortsOf(() => site);

/** Waits until packets show that just these ports are open. */
function untilOpen(ports: readonly number[], candidates: readonly number[], source?: string): Promise<void> {
  return openPorts.until(ports, candidates, { source });
}

function emptyFileIsRefused({ refusal }: Status): boolean {
  return refusal?.diagnostics[0]?.code === 'empty-file';
}

function refusals({ log }: DaemonProcess): readonly string[] {
  return log.map(({ msg }) => msg).filter((msg) => msg.startsWith('policy refused'));
}

interface Way {
  readonly way: string;
  /** What there is before the daemon starts; the policy file with port 80 open unless told. */
  readonly before?: () => void;
  /** Opens 81 in place of 80. */
  readonly change: () => void;
}

const ways: readonly Way[] = [
  {
    way: 'written in place',
    change: () => writeFileSync(site.policyFile, policy(81)),
  },
  {
    way: 'replaced by rename',
    change: () => replaceFile(site.policyFile, policy(81)),
  },
  {
    way: 'deleted and made anew',
    change: () => {
      rmSync(site.policyFile);
      writeFileSync(site.policyFile, policy(81));
    },
  },
  {
    way: 'a symlink that is swapped',
    before: () => {
      writeFileSync(join(site.directory, 'etc/one.yaml'), policy(80));
      writeFileSync(join(site.directory, 'etc/two.yaml'), policy(81));
      symlinkSync('one.yaml', site.policyFile);
    },
    change: () => {
      symlinkSync('two.yaml', `${site.policyFile}.new`);
      renameSync(`${site.policyFile}.new`, site.policyFile);
    },
  },
  {
    way: 'a symlink whose target is written in place',
    before: () => {
      mkdirSync(join(site.directory, 'etc/elsewhere'));
      writeFileSync(join(site.directory, 'etc/elsewhere/one.yaml'), policy(80));
      symlinkSync('elsewhere/one.yaml', site.policyFile);
    },
    change: () => writeFileSync(join(site.directory, 'etc/elsewhere/one.yaml'), policy(81)),
  },
  {
    way: 'in a directory that is replaced by rename',
    change: () => {
      mkdirSync(join(site.directory, 'etc-new'));
      writeFileSync(join(site.directory, 'etc-new/policy.yaml'), policy(81));
      renameSync(join(site.directory, 'etc'), join(site.directory, 'etc-old'));
      renameSync(join(site.directory, 'etc-new'), join(site.directory, 'etc'));
      rmSync(join(site.directory, 'etc-old'), { recursive: true });
    },
  },
  {
    way: 'in a directory behind a symlink that is swapped, as Kubernetes does',
    before: () => {
      for (const [name, port] of [
        ['..one', 80],
        ['..two', 81],
      ] as const) {
        mkdirSync(join(site.directory, 'etc', name));
        writeFileSync(join(site.directory, 'etc', name, 'policy.yaml'), policy(port));
      }
      symlinkSync('..one', join(site.directory, 'etc/..data'));
      symlinkSync('..data/policy.yaml', site.policyFile);
    },
    change: () => {
      symlinkSync('..two', join(site.directory, 'etc/..data_tmp'));
      renameSync(join(site.directory, 'etc/..data_tmp'), join(site.directory, 'etc/..data'));
    },
  },
];

describe('the policy file', () => {
  test.each(ways.map((one) => [one.way, one] as const))('%s takes effect', async (_way, { before, change }) => {
    if (before === undefined) writeFileSync(site.policyFile, policy(80));
    else before();
    const daemon = await site.start();
    expect(await openPorts.among([80, 81])).toEqual([80]);
    change();
    await untilOpen([81], [80, 81]);
    expect(refusals(daemon)).toEqual([]);
    expect((await daemon.until('the change is told', reached(2))).inForce?.generation).toBe(2);
  });

  test('two edits one after the other through a way that was changed itself take effect both', async () => {
    writeFileSync(site.policyFile, policy(80));
    await site.start();
    mkdirSync(join(site.directory, 'etc-new'));
    writeFileSync(join(site.directory, 'etc-new/policy.yaml'), policy(81));
    renameSync(join(site.directory, 'etc'), join(site.directory, 'etc-old'));
    renameSync(join(site.directory, 'etc-new'), join(site.directory, 'etc'));
    await untilOpen([81], [80, 81, 82]);
    writeFileSync(join(site.directory, 'etc-old/policy.yaml'), policy(80));
    writeFileSync(site.policyFile, policy(82));
    await untilOpen([82], [80, 81, 82]);
  });
});

describe('the files beside it', () => {
  const dropIn = (port: number): string => `securityGroups:
  more${port}: { inbound: [{ protocol: tcp, ports: ${port}, source: any }] }
instances:
  host: { interfaces: { eth0: { securityGroups: [web, more${port}] } } }
`;
  const base = policy(80).replace(/instances:[^]*$/, '');

  test('a drop-in that is added, changed and removed takes effect each time', async () => {
    writeFileSync(site.policyFile, policy(80).replace('instances:\n  host', 'instances:\n  other'));
    mkdirSync(site.dropIns);
    writeFileSync(join(site.dropIns, '10-host.yaml'), dropIn(90));
    await site.start();
    expect(await openPorts.among([80, 90, 91])).toEqual([80, 90]);
    replaceFile(join(site.dropIns, '10-host.yaml'), dropIn(91));
    await untilOpen([80, 91], [80, 90, 91]);
    writeFileSync(join(site.dropIns, '20-more.yaml'), 'securityGroups:\n  unused: {}\n');
    writeFileSync(join(site.dropIns, '10-host.yaml'), dropIn(90));
    await untilOpen([80, 90], [80, 90, 91]);
    rmSync(join(site.dropIns, '10-host.yaml'));
    writeFileSync(site.policyFile, policy(91));
    await untilOpen([91], [80, 90, 91]);
  });

  test('the drop-in directory may come after the daemon, and a file in it that is no drop-in changes nothing', async () => {
    writeFileSync(site.policyFile, `${base}instances: { other: { interfaces: { eth0: { securityGroups: [] } } } }\n`);
    const daemon = await site.start({ becomes: 'refused' });
    expect((await daemon.status()).refusal?.diagnostics[0]).toMatchObject({ code: 'host-not-in-policy' });
    mkdirSync(site.dropIns);
    writeFileSync(join(site.dropIns, 'host.yaml.dpkg-new'), dropIn(90));
    await sleep(300);
    expect((await daemon.status()).state).toBe('refused');
    renameSync(join(site.dropIns, 'host.yaml.dpkg-new'), join(site.dropIns, 'host.yaml'));
    await untilOpen([80, 90], [80, 90]);
  });

  test('a file that looks like a drop-in and is not read changes nothing, and log and status say so', async () => {
    writeFileSync(site.policyFile, policy(80));
    mkdirSync(site.dropIns);
    writeFileSync(join(site.dropIns, '10-host.yaml.bak'), dropIn(90));
    const daemon = await site.start();
    expect((await daemon.status()).warnings).toEqual([]);
    const passedOver = join(site.dropIns, '10-host.yml');
    writeFileSync(passedOver, dropIn(90));
    const told = await daemon.until('it is told', ({ warnings }) => warnings.length > 0, WITHIN);
    expect(told.warnings).toMatchObject([{ code: 'file-not-read', file: passedOver }]);
    expect(told.state).toBe('enforced');
    expect(daemon.log.filter(({ msg }) => msg.includes('`10-host.yml` is not read'))).toHaveLength(1);
    expect(await openPorts.among([80, 90])).toEqual([80]);
    rmSync(passedOver);
    await daemon.until('it is forgotten', ({ warnings }) => warnings.length === 0, WITHIN);
  });

  test('a list file that is appended to, replaced and emptied takes effect by elements alone', async () => {
    const list = join(site.directory, 'etc/lists/listed.txt');
    mkdirSync(dirname(list));
    writeFileSync(list, '198.51.100.0/24\n');
    writeFileSync(site.policyFile, policy(80, LISTED));
    const daemon = await site.start();
    const chains = await site.nft('-a', 'list', 'chains');
    await untilOpen([80, 7000], [80, 7000], '198.51.100.7');
    await untilOpen([80], [80, 7000], '203.0.113.9');
    appendFileSync(list, '203.0.113.9 # one more\n');
    await untilOpen([80, 7000], [80, 7000], '203.0.113.9');
    replaceFile(list, '203.0.113.0/28\n');
    await untilOpen([80], [80, 7000], '198.51.100.7');
    await untilOpen([80, 7000], [80, 7000], '203.0.113.9');
    replaceFile(list, '');
    await untilOpen([80], [80, 7000], '203.0.113.9');
    await daemon.until('all of it is told', reached(4));
    expect(daemon.log.flatMap(({ change }) => change ?? [])).toEqual(['swap', 'elements', 'elements', 'elements']);
    expect(await site.nft('-a', 'list', 'chains')).toBe(chains);
  });
});

describe('a writer that is midway', () => {
  /** Truncates a file, and writes it in place 60 ms later, piece by piece. */
  async function writeSlowly(path: string, pieces: readonly string[], pause = 20): Promise<void> {
    const file = openSync(path, 'w');
    for (const piece of pieces) {
      await sleep(pause);
      writeSync(file, piece);
    }
    closeSync(file);
  }

  function inPieces(text: string, count: number): readonly string[] {
    const size = Math.ceil(text.length / count);
    return Array.from({ length: count }, (_, i) => text.slice(i * size, (i + 1) * size));
  }

  test('is not taken for a mistake, opens nothing, and is one change', async () => {
    writeFileSync(site.policyFile, policy(80));
    const daemon = await site.start();
    const seen = new Set<string>();
    let writing = true;
    const watching = (async () => {
      while (writing) seen.add((await openPorts.among([80, 81, 82])).join());
    })();
    // The last piece ends a rule that would be valid without it, and would open 8.
    const text = policy(81, `      - { protocol: tcp, ports: 82, source: 192.0.2.1 }\n${padding(20_000)}`);
    await writeSlowly(site.policyFile, inPieces(text, 6));
    await daemon.until('the whole is in force', reached(2), WITHIN);
    writing = false;
    await watching;
    await untilOpen([81], [80, 81, 82]);
    expect(seen).toContain('80');
    expect([...seen].filter((ports) => ports !== '80' && ports !== '81')).toEqual([]);
    expect(refusals(daemon)).toEqual([]);
    expect((await daemon.status()).inForce?.generation).toBe(2);
  });

  test('and has the policy file open holds it back, and not what else is saved', async () => {
    writeFileSync(site.policyFile, policy(80));
    const daemon = await site.start();
    const before = await site.table();
    const text = policy(81);
    const half = text.indexOf('source');
    const file = openSync(site.policyFile, 'w');
    writeSync(file, text.slice(0, half));
    const waiting = await daemon.until('the half is waited for', ({ waitingFor }) => waitingFor.length > 0, WITHIN);
    expect(waiting).toMatchObject({
      state: 'enforced',
      refusal: null,
      waitingFor: [{ file: site.policyFile, reason: 'open', secondsLeft: null }],
    });
    const { stdout } = await site.sgctl('status');
    expect(stdout).toContain(`waiting for ${site.policyFile}: its writer has not closed it\n`);
    expect(stdout).toContain(`${site.policyFile}: active, but edits of policy.yaml wait\n`);
    await sleep(1_000);
    expect(await site.table()).toBe(before);
    mkdirSync(site.dropIns);
    replaceFile(
      join(site.dropIns, 'more.yaml'),
      'instances:\n  other: { interfaces: { eth0: { securityGroups: [] } } }\n',
    );
    replaceFile(join(site.dropIns, 'wrong.yaml'), 'no: policy\n');
    await daemon.until('another file is refused', ({ state }) => state === 'refused', WITHIN);
    rmSync(join(site.dropIns, 'wrong.yaml'));
    await daemon.until('the other file is gone', ({ state }) => state === 'enforced', WITHIN);
    writeSync(file, text.slice(half));
    closeSync(file);
    await untilOpen([81], [80, 81]);
    const done = await daemon.until('the change is told', reached(2));
    expect(done).toMatchObject({ state: 'enforced', refusal: null, waitingFor: [], inForce: { generation: 2 } });
  });

  test('and leaves it empty changes nothing either; nor does a file that goes away', async () => {
    writeFileSync(site.policyFile, policy(80));
    const daemon = await site.start();
    const before = await site.table();
    writeFileSync(site.policyFile, '');
    const { waitingFor } = await daemon.until(
      'the empty file is seen',
      (status) => status.waitingFor.length > 0,
      WITHIN,
    );
    expect(waitingFor).toMatchObject([{ file: site.policyFile, reason: 'empty', secondsLeft: expect.any(Number) }]);
    rmSync(site.policyFile);
    await daemon.until(
      'the missing file is refused',
      ({ refusal }) => refusal?.diagnostics[0]?.code === 'unreadable-file',
      WITHIN,
    );
    replaceFile(site.policyFile, '');
    await daemon.until('the empty file is refused', emptyFileIsRefused, WITHIN);
    expect(await site.table()).toBe(before);
    expect(await openPorts.among([80, 81])).toEqual([80]);
    writeFileSync(site.policyFile, policy(81));
    await untilOpen([81], [80, 81]);
  });

  test('a list file midway opens nothing that neither the old nor the new list has', async () => {
    const list = join(site.directory, 'etc/lists/listed.txt');
    mkdirSync(dirname(list));
    writeFileSync(list, '198.51.100.0/24\n');
    writeFileSync(site.policyFile, policy(80, LISTED));
    const daemon = await site.start();
    // Emptied, the list would close what both allow. Cut after `203.0.113.9`, its entry would be a valid one that is not
    // meant. The writer takes longer than a change that looks whole has to wait.
    await writeSlowly(list, ['198.51.100.0/24\n203.0.113.9', '1\n'], 150);
    await untilOpen([80, 7000], [80, 7000], '203.0.113.91');
    await untilOpen([80], [80, 7000], '203.0.113.9');
    await daemon.until('all of it is told', reached(2));
    expect(daemon.log.flatMap(({ change }) => change ?? [])).toEqual(['swap', 'elements']);
    expect(readFileSync(list, 'utf8')).toContain('203.0.113.91');
  });

  test('a list file midway is not taken because another file has changed meanwhile', async () => {
    const list = join(site.directory, 'etc/lists/listed.txt');
    mkdirSync(dirname(list));
    writeFileSync(list, '198.51.100.0/24\n');
    writeFileSync(site.policyFile, policy(80, LISTED));
    const daemon = await site.start();
    const file = openSync(list, 'w');
    writeSync(file, '198.51.100.0/24\n203.0.113.9');
    await daemon.until('the half is waited for', ({ waitingFor }) => waitingFor.length > 0, WITHIN);
    replaceFile(site.policyFile, policy(81, LISTED));
    await untilOpen([81], [80, 81, 7000], '203.0.113.9');
    writeSync(file, '1\n');
    closeSync(file);
    await untilOpen([81, 7000], [80, 81, 7000], '203.0.113.91');
    await untilOpen([81], [80, 81, 7000], '203.0.113.9');
    await daemon.until('all of it is told', reached(3));
    expect(daemon.log.flatMap(({ change }) => change ?? [])).toEqual(['swap', 'swap', 'elements']);
  });
});
