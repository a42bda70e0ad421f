import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import type { Deadline } from '#core/model/policy/held-policy.ts';

/** The moment `seconds` from now; undefined if this host has no boot id, so that a restart could not be detected. */
export async function deadlineIn(seconds: number): Promise<Deadline | undefined> {
  const bootId = await readBootId();
  return bootId === undefined ? undefined : { bootId, uptimeSeconds: uptime() + seconds };
}

/** The seconds until a deadline; 0 if it has passed, or was set before the last boot. */
export async function secondsLeft({ bootId, uptimeSeconds }: Deadline): Promise<number> {
  return bootId === (await readBootId()) ? Math.max(0, uptimeSeconds - uptime()) : 0;
}

async function readBootId(): Promise<string | undefined> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    return undefined;
  }
}
