import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');
const namespace = `sg-links-${process.pid}`;
const isRoot = process.geteuid?.() === 0;

/** A netlink socket belongs to the namespace its process was in, so the watch runs in a process of its own. */
const program = `
import { readInterfaces } from '#kernel/links/read-interfaces.ts';
import { watchInterfaces } from '#daemon/reconcile/watch-links.ts';
import { formatAddress } from '#core/model/net/address.ts';
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';

const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
const plain = (interfaces) => interfaces.map(({ index, name, altnames, addresses }) => ({ index, name, ...(altnames.length === 0 ? {} : { altnames }), addresses: addresses.map(formatAddress) }));
let watch;
let options = {};
const commands = {
  poll: async () => {
    options = { program: '/nonexistent/ip', pollMilliseconds: 500 };
    await commands.watch();
  },
  watch: async () => {
    watch = await watchInterfaces({
      ...options,
      onChange: () => {
        say({ kind: 'changing' });
        watch.snapshot().then((interfaces) => say({ kind: 'change', interfaces: plain(interfaces) }), (error) => say({ kind: 'failed', message: String(error) }));
      },
      onError: (error) => say({ kind: 'error', message: error.message }),
    });
    say({ kind: 'watching', interfaces: plain(await watch.snapshot()) });
  },
  snapshot: async () => say({ kind: 'snapshot', interfaces: plain(await watch.snapshot()) }),
  read: async () => {
    const start = performance.now();
    const interfaces = plain(await readInterfaces());
    say({ kind: 'read', milliseconds: performance.now() - start, interfaces });
  },
  impatient: () => readInterfaces(0).then(() => say({ kind: 'read' }), ({ name, kind }) => say({ kind: 'failed', message: name + ' ' + kind })),
  // The event loop stands still meanwhile, so notifications pile up in the socket until the kernel drops them.
  batch: async (file) => {
    execFileSync('ip', ['-batch', file]);
    say({ kind: 'batched' });
  },
  descriptors: async () => say({ kind: 'descriptors', count: (await import('node:fs')).readdirSync('/proc/self/fd').length }),
  close: async () => { watch.close(); watch.close(); say({ kind: 'closed' }); },
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const [name, argument] = line.split(' ');
  void commands[name](argument);
});
`;

interface Line {
  readonly kind: string;
  readonly interfaces?: readonly {
    readonly index: number;
    readonly name: string;
    readonly altnames?: readonly string[];
    readonly addresses: readonly string[];
  }[];
  readonly message?: string;
  readonly milliseconds?: number;
  readonly count?: number;
}

let directory: string;
let child: ChildProcess;
let lines: Line[];

function ip(...words: string[]): void {
  execFileSync('ip', ['-n', namespace, ...words]);
}

/** Runs the lines of a batch in the namespace, in one process. */
function batch(commands: readonly string[]): void {
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: commands.join('\n') });
}

function packetsReceived(name: string): number {
  const output = execFileSync('ip', ['-n', namespace, '-s', '-j', 'link', 'show', name], { encoding: 'utf8' });
  const [link] = JSON.parse(output) as { readonly stats64: { readonly rx: { readonly packets: number } } }[];
  return link?.stats64.rx.packets ?? 0;
}

function send(command: string): void {
  child.stdin?.write(`${command}\n`);
}

async function until(find: () => Line | undefined, what: string, milliseconds = 5_000): Promise<Line> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const line = find();
    if (line !== undefined) return line;
    if (performance.now() > deadline)
      throw new Error(`timed out: ${what}; last ${JSON.stringify(lines.slice(-3)).slice(0, 2_000)}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

async function ask(command: string, kind: string): Promise<Line> {
  lines.length = 0;
  send(command);
  return until(() => lines.find((line) => line.kind === kind), command);
}

/** Runs `act` and waits until a change brings a snapshot of which `holds` is true. */
async function changeBy(act: () => void, holds: (line: Line) => boolean, what: string): Promise<void> {
  lines.length = 0;
  act();
  await until(() => lines.find((line) => line.kind === 'change' && holds(line)), what);
}

/** Runs `act` and proves that nothing was told of it, within several times what telling takes. */
async function expectSilence(act: () => void): Promise<void> {
  await new Promise((done) => setTimeout(done, 200));
  lines.length = 0;
  act();
  await new Promise((done) => setTimeout(done, 300));
  expect(lines).toEqual([]);
}

function addressesOf(line: Line, name: string): readonly string[] | undefined {
  return line.interfaces?.find((link) => link.name === name)?.addresses;
}

/** The process id of the watch's `ip monitor`, once one runs that is not `previous`. */
async function successorOf(previous: number): Promise<number> {
  const { pid = 0 } = child;
  let monitor = 0;
  await until(() => {
    monitor = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
    return monitor !== 0 && monitor !== previous ? { kind: 'monitor' } : undefined;
  }, 'a monitor');
  return monitor;
}

describe.runIf(isRoot)('interfaces of a network namespace', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'secgroupd-links-'));
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
    await build({
      stdin: { contents: program, resolveDir: repository, loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      packages: 'external',
      outfile: join(directory, 'program.mjs'),
      logLevel: 'error',
    });
  });
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  beforeEach(async () => {
    execFileSync('ip', ['netns', 'add', namespace]);
    lines = [];
    child = spawn('ip', ['netns', 'exec', namespace, process.execPath, join(directory, 'program.mjs')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
      lines.push(JSON.parse(line) as Line),
    );
    expect((await ask('watch', 'watching')).interfaces).toEqual([{ index: 1, name: 'lo', addresses: [] }]);
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
    }
    execFileSync('ip', ['netns', 'delete', namespace]);
  });

  test('links and addresses come, change and go', async () => {
    await changeBy(
      () => ip('link', 'add', 'br7', 'type', 'bridge'),
      (line) => addressesOf(line, 'br7')?.length === 0,
      'the link',
    );
    await changeBy(
      () => ip('address', 'add', '192.0.2.7/24', 'dev', 'br7'),
      (line) => addressesOf(line, 'br7')?.join() === '192.0.2.7',
      'the address',
    );
    await changeBy(
      () => batch(['address add 192.0.2.5/24 dev br7', 'address add 2001:db8::7/64 dev br7 nodad']),
      (line) => addressesOf(line, 'br7')?.join() === '192.0.2.5,192.0.2.7,2001:db8::7',
      'more addresses, in order',
    );
    await changeBy(
      () => ip('link', 'set', 'br7', 'name', 'uplink'),
      (line) => addressesOf(line, 'br7') === undefined && addressesOf(line, 'uplink')?.length === 3,
      'the new name',
    );
    await changeBy(
      () => ip('address', 'delete', '192.0.2.5/24', 'dev', 'uplink'),
      (line) => addressesOf(line, 'uplink')?.join() === '192.0.2.7,2001:db8::7',
      'the address gone',
    );
    await changeBy(
      () => ip('link', 'delete', 'uplink'),
      (line) => line.interfaces?.length === 1,
      'the link gone',
    );
  });

  test('loopback counts, and so do tentative, link-local and deprecated addresses', async () => {
    await changeBy(
      () => ip('link', 'set', 'lo', 'up'),
      (line) => addressesOf(line, 'lo')?.join() === '127.0.0.1,::1',
      'loopback',
    );
    await changeBy(
      () => batch(['link add left type veth peer name right', 'link set right up', 'link set left up']),
      (line) => addressesOf(line, 'left')?.some((address) => address.startsWith('fe80:')) === true,
      'a link-local address',
    );
    // Duplicate address detection takes a second or more, so an address told of at once is still tentative.
    await changeBy(
      () => ip('address', 'add', '2001:db8::1/64', 'dev', 'left'),
      (line) => addressesOf(line, 'left')?.includes('2001:db8::1') === true,
      'a tentative address',
    );
    ip('address', 'change', '2001:db8::1/64', 'dev', 'left', 'preferred_lft', '0');
    expect(addressesOf(await ask('snapshot', 'snapshot'), 'left')).toContain('2001:db8::1');
  });

  test('an address with a peer is the own one; one address of two prefixes is one', async () => {
    ip('link', 'add', 'name', 'p', 'type', 'veth', 'peer', 'name', 'q');
    await changeBy(
      () =>
        batch(['address add 192.0.2.1 peer 192.0.2.2/32 dev p', 'address add 2001:db8::1 peer 2001:db8::2/128 dev p']),
      (line) => addressesOf(line, 'p')?.join() === '192.0.2.1,2001:db8::1',
      'the addresses',
    );
    const twice = (line: Line): boolean => addressesOf(line, 'q')?.join() === '198.51.100.1';
    await changeBy(
      () => batch(['address add 198.51.100.1/24 dev q', 'address add 198.51.100.1/16 dev q']),
      twice,
      'one address',
    );
    await expectSilence(() => ip('address', 'delete', '198.51.100.1/16', 'dev', 'q'));
    expect(twice(await ask('snapshot', 'snapshot'))).toBe(true);
  });

  test('what is no change of names, addresses and ties wakes nobody', async () => {
    batch([
      'link add left type veth peer name right',
      'link add br0 type bridge',
      'address add 192.0.2.1/24 dev left',
      'link set left up',
      'link set right up',
    ]);
    await until(
      () => lines.findLast((line) => line.kind === 'change' && addressesOf(line, 'right')?.length === 1),
      'link-local on both',
    );
    await new Promise((done) => setTimeout(done, 100));
    const counted = packetsReceived('right');
    await expectSilence(() => {
      batch([
        'link set left mtu 1400',
        'link set left txqueuelen 7',
        'link set right promisc on',
        'link set br0 alias x',
      ]);
      ip('neighbor', 'add', '192.0.2.9', 'lladdr', '02:00:00:00:00:01', 'dev', 'left');
      ip('route', 'add', '203.0.113.0/24', 'dev', 'left');
      ip('address', 'change', '192.0.2.1/24', 'dev', 'left', 'valid_lft', '1000', 'preferred_lft', '1000');
      // Nobody answers, so ping exits with 1; the counters of the pair move all the same.
      spawnSync('ip', ['netns', 'exec', namespace, 'ping', '-q', '-c', '3', '-i', '0.02', '-W', '0.1', '192.0.2.9']);
    });
    expect(packetsReceived('right')).toBeGreaterThanOrEqual(counted + 3);
    // What it is tied to is a change. A port that leaves a bridge is told of as a deleted link of the bridge family too.
    const hasAll = ({ interfaces }: Line): boolean => interfaces?.length === 4;
    for (const tie of [['master', 'br0'], ['nomaster']])
      await changeBy(() => ip('link', 'set', 'right', ...tie), hasAll, tie.join(' '));
    const names = (await ask('snapshot', 'snapshot')).interfaces?.map(({ name }) => name);
    expect(names?.toSorted()).toEqual(['br0', 'left', 'lo', 'right']);
  });

  test('an alternative name that comes, and one that goes', async () => {
    batch(['link add x0 type bridge']);
    for (const [verb, names] of [
      ['add', ['alt0']],
      ['del', []],
    ] as const) {
      const isSo = ({ interfaces }: Line): boolean =>
        (interfaces?.find(({ name }) => name === 'x0')?.altnames ?? []).join() === names.join();
      await changeBy(() => ip('link', 'property', verb, 'dev', 'x0', 'altname', 'alt0'), isSo, `property ${verb}`);
    }
  });

  test('300 links at once: every one is seen, in order of index, in a bounded number of looks', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `n${i}`);
    await changeBy(
      () =>
        batch(
          names.flatMap((name, i) => [
            `link add ${name} group 7 type bridge`,
            `address add 10.0.${i >> 8}.${i & 255}/32 dev ${name}`,
          ]),
        ),
      (line) => names.every((name) => addressesOf(line, name)?.length === 1),
      '300 links',
    );
    await new Promise((done) => setTimeout(done, 200));
    expect(lines.filter(({ kind }) => kind === 'changing').length).toBeLessThan(100);
    const { interfaces = [] } = await ask('read', 'read');
    expect(interfaces.map(({ index }) => index)).toEqual(
      interfaces.map(({ index }) => index).toSorted((a, b) => a - b),
    );
    await changeBy(
      () => ip('link', 'delete', 'group', '7'),
      (line) => line.interfaces?.length === 1,
      'all gone',
    );
    expect(lines.filter(({ kind }) => kind === 'error' || kind === 'failed')).toEqual([]);
  }, 60_000);

  test('a reader of its own sees whole answers while links come and go', async () => {
    const churn = Array.from({ length: 100 }, (_, i) => [`link add c${i} type bridge`, `link delete c${i}`]).flat();
    ip('link', 'add', 'stays', 'type', 'bridge');
    ip('address', 'add', '192.0.2.1/24', 'dev', 'stays');
    const file = spawn('ip', ['-n', namespace, '-batch', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
    const ended = new Promise((done) => file.once('exit', done));
    file.stdin.end(churn.join('\n'));
    for (let i = 0; i < 20; i += 1) expect(addressesOf(await ask('read', 'read'), 'stays')).toEqual(['192.0.2.1']);
    await ended;
  }, 60_000);

  test('a lost notification is a change: the socket overflows, and the watch goes on with another', async () => {
    // Many changes of one link: the notifications fill the buffer, and links take long to remove. Only a link that is up
    // tells of a new alias.
    const path = join(directory, 'batch');
    const aliases = Array.from({ length: 6_000 }, (_, i) => `link set x1 alias ${i}-${'y'.repeat(200)}`);
    writeFileSync(
      path,
      ['link add x1 type bridge', 'link set x1 up', ...aliases, 'link add x2 type bridge'].join('\n'),
    );
    const { count: before } = await ask('descriptors', 'descriptors');
    lines.length = 0;
    send(`batch ${path}`);
    await until(() => lines.find(({ kind }) => kind === 'batched'), 'the batch', 60_000);
    await until(
      () => lines.find(({ kind, message }) => kind === 'error' && message?.includes('No buffer space')),
      'the overflow',
    );
    await until(
      () => lines.findLast((line) => line.kind === 'change' && addressesOf(line, 'x2') !== undefined),
      'the last link',
    );
    await changeBy(
      () => ip('link', 'set', 'x1', 'name', 'later'),
      (line) => addressesOf(line, 'later') !== undefined,
      'a later change',
    );
    expect((await ask('descriptors', 'descriptors')).count).toBe(before);
  }, 90_000);

  test('a read that has no time left fails with its kind', async () => {
    expect((await ask('impatient', 'failed')).message).toBe('NetlinkError timeout');
  });

  test('a monitor that dies is lost notifications, and gets a successor', async () => {
    let previous = 0;
    const reports: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      const monitor = await successorOf(previous);
      lines.length = 0;
      process.kill(monitor, 'SIGKILL');
      await until(() => lines.find(({ kind }) => kind === 'change'), 'a change');
      reports.push(...lines.flatMap(({ message }) => message ?? []));
      await successorOf(monitor);
      await changeBy(
        () => ip('link', 'add', `r${round}`, 'type', 'bridge'),
        (line) => addressesOf(line, `r${round}`) !== undefined,
        'a later change',
      );
      previous = monitor;
    }
    expect(reports.join()).toContain('`ip monitor` ended');
  }, 20_000);

  test('the monitor does not outlive a watch that is killed', async () => {
    const monitor = await successorOf(0);
    await new Promise((done) => setTimeout(done, 200));
    child.kill('SIGKILL');
    await until(() => (existsSync(`/proc/${monitor}`) ? undefined : { kind: 'gone' }), 'the end of the monitor');
  });

  test('without the program the watch polls, and says so once', async () => {
    await ask('close', 'closed');
    lines.length = 0;
    send('poll');
    await until(() => lines.find(({ kind }) => kind === 'watching'), 'another watch');
    await until(() => lines.find(({ kind, message }) => kind === 'error' && message?.includes('ENOENT')), 'the report');
    for (const name of ['one', 'two']) {
      await changeBy(
        () => ip('link', 'add', name, 'type', 'bridge'),
        (line) => addressesOf(line, name) !== undefined,
        'a change',
      );
    }
    expect(lines.filter(({ kind }) => kind === 'error')).toEqual([]);
  }, 20_000);

  test('after close nothing is told, nothing is held, and the process can end', async () => {
    const { count = 0 } = await ask('descriptors', 'descriptors');
    await ask('close', 'closed');
    await expectSilence(() => ip('link', 'add', 'late', 'type', 'bridge'));
    expect((await ask('descriptors', 'descriptors')).count).toBeLessThan(count);
    const ended = new Promise((done) => child.once('exit', done));
    child.stdin?.end();
    expect(await ended).toBe(0);
  });
});
