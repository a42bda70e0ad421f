import { spawnSync } from 'node:child_process';
import { cpus, release } from 'node:os';

/** What figures depend on, so that nobody compares those of two machines. */
export function machine(): Readonly<Record<string, string | number>> {
  const processors = cpus();
  return {
    kernel: release(),
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    node: process.version,
    nft: spawnSync('nft', ['--version'], { encoding: 'utf8' }).stdout.trim(),
  };
}
