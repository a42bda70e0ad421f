import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const UNITS = fileURLToPath(new URL('../../systemd/', import.meta.url));

/**
 * In tenths: of 10, what `systemd-analyze security` says a unit is exposed to at the most. What boots the host does
 * without namespaces, which are not sure to be had so early.
 */
const MOST_EXPOSED: Readonly<Record<string, number>> = { 'secgroupd.service': 15, 'secgroupd-boot.service': 25 };

/** The first whose analysis needs no running systemd. */
const LEAST_SYSTEMD = 250;

const version = Number(
  /systemd ([0-9]+)/.exec(execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' }))?.[1],
);

const directory = mkdtempSync(join(tmpdir(), 'secgroupd-units-'));

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function isWithin(unit: string): boolean {
  const threshold = MOST_EXPOSED[basename(unit)] ?? 0;
  const args = ['security', '--offline=yes', `--threshold=${threshold}`, '--no-pager', unit];
  return spawnSync('systemd-analyze', args).status === 0;
}

const units = readdirSync(UNITS).filter((name) => name.endsWith('.service'));

test.skipIf(version < LEAST_SYSTEMD).each(units)('%s is exposed to no more than it has to be', (unit) => {
  expect(isWithin(join(UNITS, unit))).toBe(true);
  // Without what hardens it most it would not be.
  const open = readFileSync(join(UNITS, unit), 'utf8').replaceAll(
    /^(?:CapabilityBoundingSet|SystemCallFilter|User|ProtectSystem)=.*\n/gm,
    '',
  );
  writeFileSync(join(directory, unit), open);
  expect(isWithin(join(directory, unit))).toBe(false);
});
