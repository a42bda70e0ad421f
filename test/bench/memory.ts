import { readFileSync } from 'node:fs';

/** The memory of a process and of those it keeps running, in MB: now, and at most so far, the peaks of all added up. */
export function memoryOf(pid: number): { readonly resident: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.reduce(
    (sum, child) => {
      const { resident, peak } = memoryOf(Number(child));
      return { resident: sum.resident + resident, peak: sum.peak + peak };
    },
    { resident: megabytes('VmRSS'), peak: megabytes('VmHWM') },
  );
}
