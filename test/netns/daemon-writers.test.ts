import { appendFileSync, closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { DaemonProcess } from './harness-daemon/daemon.ts';
import { openPortsOf } from './harness-daemon/open-ports.ts';
import { mounting, replaceFile, type Site, type StartOptions, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';

let site: Site;

useSite((made) => {
  site = made;
});

const openPorts = openPortsOf(() => site);

describe('a writer that stalls', () => {
  /** What lets ports 7000 and up in, each from what its list says. */
  const lists = ['line', 'lines', 'empty', 'anew'] as const;
  const ports = lists.map((_, index) => 7_000 + index);
  const open: number[] = [];
  const at = (name: string): string => join(site.directory, `etc/${name}.txt`);
  const text = `version: 1
securityGroups:
  web:
    inbound:
${lists.map((name, index) => `      - { protocol: tcp, ports: ${7_000 + index}, source: { addressGroup: ${name} } }\n`).join('')}
addressGroups:
${lists.map((name) => `  ${name}: { file: ${name}.txt }\n`).join('')}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
  const OLD = '198.51.100.7';
  const NEW = '203.0.113.9';

  async function startWithLists(options?: StartOptions): Promise<DaemonProcess> {
    for (const name of lists) writeFileSync(at(name), `${OLD}\n`);
    writeFileSync(site.policyFile, text);
    const daemon = await site.start(options);
    expect(await openPorts.among(ports, OLD)).toEqual(ports);
    return daemon;
  }

  /** Begins to write each list in place, and leaves off. */
  function leaveOff(): void {
    const half = { line: `${OLD}\n203.0.113.0/2`, lines: `${NEW}\n`, empty: '', anew: `${NEW}\n203.0.113.0/2` };
    rmSync(at('anew'));
    for (const name of lists) {
      const file = openSync(at(name), 'w');
      open.push(file);
      writeSync(file, half[name]);
    }
  }

  function goOn(): void {
    const rest = { line: `4\n${NEW}\n`, lines: `${OLD}\n`, empty: `${OLD}\n${NEW}\n`, anew: `4\n${OLD}\n` };
    for (const [index, file] of open.entries()) writeSync(file, rest[lists[index] ?? 'line']);
    for (const file of open.splice(0)) closeSync(file);
  }

  afterEach(() => {
    for (const file of open.splice(0)) closeSync(file);
  });

  test('amid a line, after one, before the first: none of it is in force before the file is closed', async () => {
    const daemon = await startWithLists();
    leaveOff();
    const held = await daemon.until('all are waited for', ({ waitingFor }) => waitingFor.length === lists.length);
    expect(held.waitingFor.map(({ file, reason }) => [file, reason])).toEqual(
      lists.toSorted().map((name) => [at(name), 'open']),
    );
    for (const end = performance.now() + 3_000; performance.now() < end; await sleep(200)) {
      expect(await openPorts.among(ports, OLD)).toEqual(ports);
      expect(await openPorts.among(ports, NEW)).toEqual([]);
    }
    goOn();
    await openPorts.until(ports, ports, { source: NEW });
    expect(await openPorts.among(ports, OLD)).toEqual(ports);
    expect((await daemon.until('nothing is waited for', ({ waitingFor }) => waitingFor.length === 0)).state).toBe(
      'enforced',
    );
  });

  test('and leaves a file closed amid a line, or empty, is waited for still; what is put there by rename counts at once', async () => {
    const daemon = await startWithLists();
    replaceFile(at('lines'), NEW);
    replaceFile(at('anew'), '');
    writeFileSync(at('line'), NEW);
    writeFileSync(at('empty'), '# nobody\n');
    await openPorts.until([7_000, 7_002], ports, { source: OLD });
    expect(await openPorts.among(ports, NEW)).toEqual([7_001]);
    await sleep(3_000);
    expect(await openPorts.among(ports, OLD)).toEqual([7_000, 7_002]);
    const { waitingFor } = await daemon.status();
    expect(waitingFor).toEqual([
      expect.objectContaining({ file: at('empty'), reason: 'empty', secondsLeft: expect.any(Number) }),
      expect.objectContaining({ file: at('line'), reason: 'unfinished-line', secondsLeft: expect.any(Number) }),
    ]);
    for (const { message, secondsLeft } of waitingFor) {
      expect(message).toContain(`it counts as it is in ${secondsLeft} s`);
      expect(secondsLeft).toBeLessThan(8);
    }
    appendFileSync(at('line'), '\n');
    appendFileSync(at('empty'), `${NEW}\n`);
    await openPorts.until([7_000, 7_001, 7_002], ports, { source: NEW });
  });

  test('without inotifywait, a file counts after two seconds of quiet, unless it ends amid a line or is suddenly empty', async () => {
    const daemon = await startWithLists({ wrapper: mounting('mount --bind /dev/null /usr/bin/inotifywait') });
    await daemon.until('its lack is told', ({ missingFeatures }) => missingFeatures.join().includes('inotifywait'));
    leaveOff();
    const begun = performance.now();
    await daemon.until('all are waited for', ({ waitingFor }) => waitingFor.length === lists.length);
    expect(await openPorts.among(ports, NEW)).toEqual([]);
    await until('the one with whole lines counts', async () => (await openPorts.among(ports, NEW)).join() === '7001');
    expect(performance.now() - begun).toBeGreaterThan(2_000);
    expect(await openPorts.among(ports, OLD)).toEqual([7_000, 7_002, 7_003]);
    replaceFile(at('lines'), `${OLD}\n`);
    await openPorts.until(ports, ports, { source: OLD });
    await sleep(2_000);
    expect(await openPorts.among(ports, OLD)).toEqual(ports);
    goOn();
    await openPorts.until([7_000, 7_002, 7_003], ports, { source: NEW, within: 8_000 });
  }, 30_000);

  test('is waited for by a daemon that starts, while what was in force stays', async () => {
    const before = await startWithLists();
    await before.stop();
    rmSync(at('anew'));
    writeFileSync(at('anew'), `${NEW}\n`);
    const file = openSync(at('line'), 'w');
    open.push(file);
    writeSync(file, '203.0.113.0/2');
    const daemon = site.spawn();
    await daemon.until('the half is waited for', ({ waitingFor }) => waitingFor.length > 0);
    expect(await openPorts.among(ports, OLD)).toEqual(ports);
    writeSync(file, '4\n');
    closeSync(open.pop() ?? file);
    await daemon.until('the whole is in force', ({ state }) => state === 'enforced', 15_000);
    expect(await openPorts.among(ports, NEW)).toEqual([7_000, 7_003]);
  });

  /** A policy that lets `without` no more in, and lets `port` in from the list `name`. */
  function editedPolicy(name: string, port: number, without: number): string {
    return text
      .replace(new RegExp(`^.*ports: ${without},.*\n`, 'm'), '')
      .replace(
        '    inbound:\n',
        (line) => `${line}      - { protocol: tcp, ports: ${port}, source: { addressGroup: ${name} } }\n`,
      )
      .replace('addressGroups:\n', (line) => `${line}  ${name}: { file: ${name}.txt }\n`);
  }

  function keepOpen(name: string, content: string): number {
    const file = openSync(at(name), 'a');
    open.push(file);
    writeSync(file, content);
    return file;
  }

  test('and keeps a list open that is named for the first time holds no edit up: its whole lines count, and the rest when it is closed', async () => {
    const daemon = await startWithLists();
    const file = keepOpen('log', `${NEW}\n`);
    replaceFile(site.policyFile, editedPolicy('log', 7_010, 7_003));
    await openPorts.until([7_010], [...ports, 7_010], { source: NEW, within: 10_000 });
    expect(await openPorts.among([...ports, 7_010], OLD)).toEqual([7_000, 7_001, 7_002]);
    writeSync(file, `${OLD}\n`);
    await daemon.until('the rest is waited for', ({ waitingFor }) =>
      waitingFor.some(({ reason }) => reason === 'open'),
    );
    const { stdout } = await site.sgctl('status');
    expect(stdout).toContain(`${site.policyFile}: active, but edits of log.txt wait\n`);
    expect(stdout).toContain(`waiting for ${at('log')}: its writer has not closed it\n`);
    replaceFile(site.policyFile, editedPolicy('log', 7_010, 7_002));
    await openPorts.until([7_000, 7_001, 7_003], [...ports, 7_010], { source: OLD });
    for (const one of open.splice(0)) closeSync(one);
    await openPorts.until([7_000, 7_001, 7_003, 7_010], [...ports, 7_010], { source: OLD });
    await daemon.until('nothing is waited for', ({ waitingFor }) => waitingFor.length === 0);
    expect((await site.sgctl('status')).stdout).toContain(`${site.policyFile}: active\n`);
  }, 30_000);

  test('and keeps a list open amid a line that is named for the first time: the policy is refused, and not waited for without end', async () => {
    const daemon = await startWithLists();
    const file = keepOpen('cut', '203.0.113.0/2');
    replaceFile(site.policyFile, editedPolicy('cut', 7_010, 7_003));
    const held = await daemon.until('it is waited for', ({ waitingFor }) => waitingFor.length > 0);
    expect(held.waitingFor[0]?.message).toBe(
      'its writer has not closed it, and every edit of the policy waits with it',
    );
    const { refusal } = await daemon.until('it is refused', ({ state }) => state === 'refused', 20_000);
    expect(refusal?.text).toContain(`\`${at('cut')}\` is unfinished: a program has it open for writing`);
    expect(await openPorts.among([...ports, 7_010], NEW)).toEqual([]);
    expect(await openPorts.among([...ports, 7_010], OLD)).toEqual(ports);
    replaceFile(site.policyFile, text.replace(/^.*ports: 7002,.*\n/m, ''));
    await openPorts.until([7_000, 7_001, 7_003], ports, { source: OLD });
    await daemon.until('it is mended', ({ state }) => state === 'enforced');
    replaceFile(site.policyFile, editedPolicy('cut', 7_010, 7_003));
    writeSync(file, '4\n');
    await openPorts.until([7_010], [...ports, 7_010], { source: NEW, within: 10_000 });
    expect(await openPorts.among([...ports, 7_010], OLD)).toEqual([7_000, 7_001, 7_002]);
  }, 45_000);

  test('leaves a host with no rules as it is no longer than a daemon takes to start', async () => {
    for (const name of lists) writeFileSync(at(name), OLD);
    writeFileSync(site.policyFile, text.trimEnd());
    await site.start();
    expect(await openPorts.among(ports, OLD)).toEqual(ports);
  });
});
