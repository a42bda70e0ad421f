import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createNotifier, type Notifier } from '#host/notify.ts';

let directory: string;
let errors: Error[];
const onError = (error: Error): void => {
  errors.push(error);
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-notify-'));
  errors = [];
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** A `systemd-notify` that writes down its arguments, one call a line; slow enough for calls to queue up. */
function fake(body = ''): void {
  const path = join(directory, 'systemd-notify');
  const script = `#!/bin/sh
for argument in "$@"; do printf '<%s>' "$argument"; done >> "${directory}/calls"
echo >> "${directory}/calls"
${body}
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
}

function notifier(extra: NodeJS.ProcessEnv = { NOTIFY_SOCKET: '/run/nowhere' }): Notifier {
  return createNotifier({ onError, environment: { PATH: `${directory}${delimiter}/usr/bin:/bin`, ...extra } });
}

function calls(): string[] {
  const path = join(directory, 'calls');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 3_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('with a stand-in for the program', () => {
  test('says each state in order', async () => {
    fake();
    const subject = notifier();
    subject.ready('12 rules in force');
    subject.reloading();
    subject.ready('13 rules in force');
    subject.stopping();
    await subject.flush();
    expect(calls().map((call) => call.replace(/MONOTONIC_USEC=\d+/, 'MONOTONIC_USEC=#'))).toEqual([
      '<READY=1><STATUS=12 rules in force>',
      '<RELOADING=1><MONOTONIC_USEC=#>',
      '<READY=1><STATUS=13 rules in force>',
      '<STOPPING=1>',
    ]);
    expect(errors).toEqual([]);
  });

  test('reloading carries the moment it was called, on CLOCK_MONOTONIC', async () => {
    fake('sleep 0.1');
    const subject = notifier();
    subject.ready('up');
    const before = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1e6;
    const called = Number(process.hrtime.bigint() / 1_000n);
    subject.reloading();
    await subject.flush();
    const sent = Number(/MONOTONIC_USEC=(\d+)/.exec(calls()[1] ?? '')?.[1]);
    expect(sent - called).toBeGreaterThanOrEqual(0);
    expect(sent - called).toBeLessThan(50_000);
    // /proc/uptime counts suspended time too, which machines that run tests have none of worth a minute.
    expect(Math.abs(sent - before)).toBeLessThan(60e6);
  });

  test('drops a status that is overtaken, and no other', async () => {
    fake('sleep 0.05');
    const subject = notifier();
    subject.status('first, sent at once');
    subject.status('overtaken');
    subject.status('overtaken too');
    subject.reloading();
    subject.status('overtaken by what ready says');
    subject.ready('up');
    subject.status('before stopping');
    subject.stopping();
    await subject.flush();
    expect(calls().map((call) => call.replace(/<MONOTONIC_USEC=\d+>/, ''))).toEqual([
      '<STATUS=first, sent at once>',
      '<RELOADING=1>',
      '<READY=1><STATUS=up>',
      '<STATUS=before stopping>',
      '<STOPPING=1>',
    ]);
  });

  test('keeps a waiting status when reloading begins', async () => {
    fake('sleep 0.05');
    const subject = notifier();
    subject.status('now');
    subject.status('policy refused');
    subject.reloading();
    await subject.flush();
    expect(calls()[1]).toBe('<STATUS=policy refused>');
  });

  test.each([
    ['a\nREADY=1', '<STATUS=a READY=1>'],
    ['a\r\n\tb\0c\u0085d', '<STATUS=a b c d>'],
    ['\n', '<STATUS=>'],
    ['--help $(id) "x"', '<STATUS=--help $(id) "x">'],
  ])('makes %j one line', async (text, call) => {
    fake();
    const subject = notifier();
    subject.status(text);
    await subject.flush();
    expect(calls()).toEqual([call]);
  });

  test.each<[string, NodeJS.ProcessEnv]>([
    ['absent', {}],
    ['empty', { NOTIFY_SOCKET: '' }],
  ])('runs nothing when NOTIFY_SOCKET is %s', async (_, environment) => {
    fake();
    const subject = notifier({ WATCHDOG_USEC: '20000', ...environment });
    subject.ready('up');
    subject.status('x');
    const stop = subject.startWatchdog(() => true);
    await subject.flush();
    await new Promise((resolve) => setTimeout(resolve, 60));
    stop();
    expect(calls()).toEqual([]);
  });

  test('reports a failure once in a row, and goes on', async () => {
    fake(`[ -e "${directory}/broken" ] && { echo 'no such socket' >&2; exit 1; }; exit 0`);
    const subject = notifier();
    for (const broken of [true, true, false, true]) {
      if (broken) writeFileSync(join(directory, 'broken'), '');
      else rmSync(join(directory, 'broken'), { force: true });
      subject.status('same');
      await subject.flush();
    }
    expect(calls()).toHaveLength(4);
    expect(errors).toHaveLength(2);
    expect(errors[0]?.message).toContain('no such socket');
    expect(errors[0]?.cause).toBeDefined();
  });

  test('a missing program is reported, never thrown', async () => {
    const subject = createNotifier({ onError, environment: { PATH: directory, NOTIFY_SOCKET: '/x' } });
    subject.ready('up');
    await subject.flush();
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toContain('ENOENT');
  });
});

describe('the watchdog', () => {
  test('is fed at half the interval while healthy, and starved while not', async () => {
    fake();
    const subject = notifier({ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '60000', WATCHDOG_PID: String(process.pid) });
    let healthy = true;
    const stop = subject.startWatchdog(() => healthy);
    await until(() => calls().length >= 3, 'keep-alives');
    healthy = false;
    await subject.flush();
    const count = calls().length;
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(calls()).toHaveLength(count);
    healthy = true;
    await until(() => calls().length > count, 'keep-alives again');
    stop();
    await subject.flush();
    expect(new Set(calls())).toEqual(new Set(['<WATCHDOG=1>']));
  });

  test('takes a health check that throws for unhealthy', async () => {
    fake();
    const subject = notifier({ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '20000' });
    const stop = subject.startWatchdog(() => {
      throw new Error('broken');
    });
    await until(() => errors.length > 0, 'the report');
    stop();
    await subject.flush();
    expect(calls()).toEqual([]);
  });

  test.each<[string, NodeJS.ProcessEnv]>([
    ['asked of another process', { WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' }],
    ['not asked for', {}],
    ['nonsense', { WATCHDOG_USEC: '-5' }],
    ['zero', { WATCHDOG_USEC: '0' }],
    ['so long that a timer would overflow', { WATCHDOG_USEC: '9000000000000' }],
  ])('is left alone when %s', async (_, environment) => {
    fake();
    const subject = notifier({ NOTIFY_SOCKET: '/x', ...environment });
    const stop = subject.startWatchdog(() => true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    stop();
    expect(calls()).toEqual([]);
  });
});

const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    data, fds, _, _ = socket.recv_fds(s, 65536, 8)
    for fd in fds: socket.close(fd)
    for line in data.decode().split('\\n'):
        if not line.startswith('BARRIER'): print(line, flush=True)
`;

test.runIf(existsSync('/usr/bin/systemd-notify') && existsSync('/usr/bin/python3'))(
  'the real program delivers over a real socket',
  async () => {
    const path = join(directory, 'socket');
    const child = spawn('/usr/bin/python3', ['-c', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      await until(() => output.includes('bound'), 'the receiver');
      const subject = createNotifier({ onError, environment: { PATH: '/usr/bin:/bin', NOTIFY_SOCKET: path } });
      subject.ready('up\nSTOPPING=1');
      subject.reloading();
      subject.stopping();
      await subject.flush();
      await until(() => output.includes('\nSTOPPING=1\n'), 'the last message');
      expect(
        output
          .trimEnd()
          .replace(/USEC=\d+/, 'USEC=#')
          .split('\n'),
      ).toEqual(['bound', 'READY=1', 'STATUS=up STOPPING=1', 'RELOADING=1', 'MONOTONIC_USEC=#', 'STOPPING=1']);
      expect(errors).toEqual([]);
    } finally {
      child.kill();
    }
  },
);
