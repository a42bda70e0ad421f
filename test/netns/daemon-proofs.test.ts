import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Status } from '#api/status.ts';
import { overlapping } from '../bench/overlapping-policy.ts';
import type { DaemonProcess } from './harness-daemon/daemon.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';

const SMALL = `version: 1
securityGroups: { web: { inbound: [{ protocol: tcp, ports: 80, source: any }] } }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
assert:
  - deny: { protocol: tcp, ports: 81, source: any }
`;

const RULES = 1_000;

/** What is asserted holds but for the last, of which the caller says what is expected. */
function large(expected: 'allow' | 'deny'): string {
  const ports = Array.from(
    { length: 50 },
    (_, i) => `deny: { protocol: tcp, ports: "${2000 + i}-60000", source: any }`,
  );
  return overlapping(RULES, [...ports, `${expected}: { protocol: udp, ports: 53, source: any }`]);
}

const BEING_PROVED = /is being proved/;

function hasLogged({ log }: DaemonProcess, what: RegExp): boolean {
  return log.some(({ msg }) => what.test(msg));
}

/** The threads of the daemon's process. */
function threadsOf({ pid }: DaemonProcess): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

/** How many inbound rules are in force on eth0. */
function rulesOf({ interfaces }: Status): number {
  return interfaces.find(({ name }) => name === 'eth0')?.rules.inbound ?? 0;
}

let site: Site;
useSite((made) => {
  site = made;
});

describe('a policy whose assertions take long to prove', () => {
  test('holds nothing up: our table comes back meanwhile, and then the policy is in force', async () => {
    replaceFile(site.policyFile, SMALL);
    const daemon = await site.start();
    const [threads, before] = [threadsOf(daemon), await daemon.status()];
    expect(hasLogged(daemon, BEING_PROVED)).toBe(false);
    replaceFile(site.policyFile, large('deny'));
    await until('it is being proved', () => hasLogged(daemon, BEING_PROVED), { within: 20_000 });
    await site.nft('delete', 'table', 'inet', 'secgroupd');
    const mended = await daemon.until('it is mended', (now) => now.driftsMended === 1);
    expect(await site.table()).toContain('tcp dport');
    // By the policy that was in force, for the other is not proved.
    expect([rulesOf(mended), rulesOf(before)]).toEqual([1, 1]);
    const after = await daemon.until('it is in force', (now) => rulesOf(now) > RULES, 30_000);
    expect(after.refusal).toBeNull();
    await until('the thread is gone', () => threadsOf(daemon) <= threads);
  });

  test('is refused where it breaks one, and while it is proved at the start, what was in force is', async () => {
    replaceFile(site.policyFile, SMALL);
    await (await site.start()).stop();
    await site.nft('delete', 'table', 'inet', 'secgroupd');
    replaceFile(site.policyFile, large('allow'));
    const daemon = site.spawn();
    await until('it is being proved', () => hasLogged(daemon, BEING_PROVED), { within: 20_000 });
    await until('the table is there', async () => (await site.table()) !== '');
    const { refusal } = await daemon.until('it is refused', (now) => now.refusal !== null, 30_000);
    expect(refusal?.diagnostics.map(({ code }) => code)).toEqual(['assertion-broken']);
    expect(await site.table()).toContain('tcp dport');
  });

  test('comes into force although it is saved again and again meanwhile, and is refused where it breaks one', async () => {
    replaceFile(site.policyFile, SMALL);
    const daemon = await site.start();
    const saving = (text: string): (() => void) => {
      let saved = 0;
      const timer = setInterval(() => {
        saved += 1;
        replaceFile(site.policyFile, `${text}# ${saved}\n`);
      }, 200);
      return () => clearInterval(timer);
    };
    let stop = saving(large('allow'));
    try {
      const { refusal } = await daemon.until('it is refused', (now) => now.refusal !== null, 60_000);
      expect(refusal?.diagnostics.map(({ code }) => code)).toEqual(['assertion-broken']);
      expect(rulesOf(await daemon.status())).toBe(1);
      stop();
      stop = saving(large('deny'));
      await daemon.until('it is in force', (now) => rulesOf(now) > RULES, 60_000);
    } finally {
      stop();
    }
  });

  test('can be tried, with the loop free meanwhile; and stopping the daemon does not wait for it', async () => {
    replaceFile(site.policyFile, SMALL);
    const daemon = await site.start();
    replaceFile(`${site.directory}/large.yaml`, large('allow'));
    const refused = await site.sgctl('try', `${site.directory}/large.yaml`, '--timeout', '60');
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('assertion-broken')]);
    expect((await daemon.status()).trial).toBeNull();
    replaceFile(site.policyFile, large('deny'));
    await until('it is being proved', () => hasLogged(daemon, BEING_PROVED), { within: 20_000 });
    expect(await daemon.stop()).toEqual({ exitCode: 0, signal: null });
  });
});
