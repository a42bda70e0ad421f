import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DaemonProcess } from '../netns/harness-daemon/daemon.ts';
import { type Readers, type ReadersSpec, startReaders } from '../netns/harness-daemon/readers.ts';
import { mounting, replaceFile, type Site, useSite } from '../netns/harness-daemon/site.ts';
import { until } from '../netns/harness-daemon/until.ts';

let site: Site;

useSite((made) => {
  site = made;
});

beforeEach(() => {
  replaceFile(site.policyFile, policy(80));
});

function policy(port: number): string {
  return `version: 1
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: ${port}, source: any }] }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

function reading(): string {
  return `${site.runtimeDirectory}/secgroupd-read.sock`;
}

function control(): string {
  return `${site.runtimeDirectory}/secgroupd.sock`;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(socketPath: string, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method, agent: false, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    call.once('timeout', () => call.destroy(new Error('no answer')));
    call.once('error', reject);
    call.end();
  });
}

async function amid(spec: Omit<ReadersSpec, 'socket'>, work: () => Promise<void>): Promise<void> {
  const readers: Readers = await startReaders({ socket: reading(), ...spec });
  try {
    await work();
  } finally {
    await readers.stop();
  }
}

/** Without anybody who asks, each takes a tenth of a second; a machine that is busy with all of this takes longer. */
const SOON = { edit: 3_000, table: 2_000 };

describe('whoever may look asks without end, and enforcement goes on', () => {
  test.each([
    ['pipelining', '/v1/status', 8],
    ['pipelining', '/v1/status', 1],
    ['hurrying', '/v1/status', 64],
    ['hurrying', '/v1/policy', 32],
  ] as const)('%s %s by %i connections', async (kind, path, connections) => {
    const daemon = await site.start();
    await amid({ kind, path, connections }, async () => {
      // So long that whatever is going to queue has queued.
      await wait(1_000);
      replaceFile(site.policyFile, policy(81));
      await untilInForce(daemon, 1);
      await site.nft('delete', 'table', 'inet', 'secgroupd');
      await until('the table is back', async () => (await site.table()).includes('chain input'), {
        within: SOON.table,
      });
      expect((await ask(control(), '/v1/status')).status).toBe(200);
    });
    await until('it is as before', () => daemon.log.some(({ msg }) => /putting it right/.test(msg)));
    // Nothing is left to be answered to those who have gone.
    const before = changes(daemon);
    replaceFile(site.policyFile, policy(82));
    await untilInForce(daemon, before);
  });
});

/** How often the daemon has brought a policy into force. */
function changes({ log }: DaemonProcess): number {
  return log.filter(({ msg }) => msg === 'policy in force').length;
}

/** Waits until there is one change more than there were. */
async function untilInForce(daemon: DaemonProcess, before: number): Promise<void> {
  await until('the edit is in force', () => changes(daemon) > before, { within: SOON.edit, instead: () => daemon.log });
}

test('status is answered without starting a program', async () => {
  const nft = execFileSync('bash', ['-c', 'realpath "$(command -v nft)"'], { encoding: 'utf8' }).trim();
  const [real, ours, calls] = ['real', 'nft', 'calls'].map((name) => join(site.directory, name));
  writeFileSync(real ?? '', '');
  writeFileSync(ours ?? '', `#!/bin/sh\necho "$@" >>${calls}\nexec ${real} "$@"\n`, { mode: 0o755 });
  await site.world.nft('add table ip theirs\nadd chain ip theirs in { type filter hook input priority 5; }');
  try {
    await site.start({ wrapper: mounting(`mount --bind ${nft} ${real} && mount --bind ${ours} ${nft}`) });
    // A table that was put there by others is looked at once, by nft.
    const called = await until('nft rests', async () => {
      const before = readFileSync(calls ?? '', 'utf8');
      await wait(500);
      return readFileSync(calls ?? '', 'utf8') === before && before;
    });
    for (let i = 0; i < 10; i += 1) {
      const { text } = await ask(reading(), '/v1/status');
      expect(text).toContain('"table": "ip theirs"');
    }
    expect(readFileSync(calls ?? '', 'utf8')).toBe(called);
  } finally {
    await site.world.nft('delete table ip theirs');
  }
});

describe('answers are bounded', () => {
  const ADDRESSES = 200_000;
  /** In kB: what the daemon may grow by for readers; each of them, had it an answer of its own, would take 3,000. */
  const MAX_GROWTH = 150_000;

  function memory(daemon: DaemonProcess, what: 'VmRSS' | 'VmHWM'): number {
    return Number(new RegExp(`${what}:\\s*([0-9]+) kB`).exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]);
  }

  test('a long policy is sent as it is read, whole, and by connections that never read not at all', async () => {
    const list = Array.from(
      { length: ADDRESSES },
      (_, i) => `10.${(i >> 15) & 255}.${(i >> 7) & 255}.${(2 * i) & 255}\n`,
    );
    const listed = policy(80).replace('source: any', 'source: { addressGroup: many }');
    replaceFile(join(site.directory, 'etc/many.txt'), `# é ${'x'.repeat(40_000)} 😀 "\\\n${list.join('')}`);
    replaceFile(site.policyFile, `${listed}addressGroups: { many: { file: many.txt } }\n`);
    const daemon = await site.start();
    writeFileSync(`/proc/${daemon.pid}/clear_refs`, '5');
    const before = memory(daemon, 'VmRSS');
    await amid({ kind: 'deaf', path: '/v1/policy', connections: 60 }, async () => {
      await wait(1_000);
      const texts: Record<string, string> = {};
      for (const name of [site.policyFile, join(site.directory, 'etc/many.txt')])
        texts[name] = readFileSync(name, 'utf8');
      const { policy: answered } = JSON.parse((await ask(reading(), '/v1/policy')).text) as { policy: object };
      expect(answered).toEqual({ instance: 'host', documents: [site.policyFile], texts });
      const kept = JSON.parse((await ask(reading(), '/v1/history/1')).text) as { number: number; texts: object };
      expect(kept).toMatchObject({ number: 1, texts: answered });
    });
    expect(memory(daemon, 'VmHWM') - before).toBeLessThan(MAX_GROWTH);
  });

  test('connections that never finish their question give way to those that do', async () => {
    await site.start();
    await amid({ kind: 'unfinished', path: '/metrics', connections: 64 }, async () => {
      for (let i = 0; i < 3; i += 1) {
        const { text } = await ask(reading(), '/metrics');
        expect(text).toContain('secgroupd_enforced 1\n');
      }
    });
  });

  test('a part of the connections may follow the log, others are told so, and questions are answered', async () => {
    await site.start();
    await amid({ kind: 'deaf', path: '/v1/log/follow', connections: 60 }, async () => {
      const refused = await until('no more may follow', async () => {
        const answer = await Promise.race([ask(reading(), '/v1/log/follow'), wait(1_000, undefined)]);
        return answer;
      });
      expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('follow the log') as string });
      expect((await ask(reading(), '/metrics')).status).toBe(200);
    });
  });
});

describe('an answer is no older than what changed', () => {
  test('by a call to the same socket, or to the other', async () => {
    await site.start();
    const state = async (socket: string): Promise<unknown> =>
      (JSON.parse((await ask(socket, '/v1/status')).text) as { state: unknown }).state;
    for (let i = 0; i < 5; i += 1) {
      expect([await state(control()), await state(reading())]).toEqual(['enforced', 'enforced']);
      await ask(control(), '/v1/clear', 'POST');
      expect([await state(control()), await state(reading())]).toEqual(['cleared', 'cleared']);
      replaceFile(site.policyFile, policy(81 + i));
      await ask(control(), '/v1/reload', 'POST');
    }
  });
});
