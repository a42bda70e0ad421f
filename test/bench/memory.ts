import { readFileSync } from 'node:fs';

/** The memory of a process in MB: now, and at most so far. */
export function memoryOf(pid: number): { readonly resident: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
  return { resident: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}
