import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { ClosingLineReporter } from './reporter.ts';

/** Tests that need neither root nor the kernel, by folder. */
const QUICK = ['unit', 'golden', 'property', 'oracle', 'conformance'];

/** Tests that make network namespaces and load rules into them: as root only. */
const KERNEL = ['netns', 'faults', 'fuzz', 'soak', 'systemd', 'lab'];

export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, '..'),
    reporters: [new ClosingLineReporter()],
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: QUICK.map((folder) => `test/${folder}/**/*.test.ts`),
          setupFiles: ['test/fast-check.ts'],
          // Some start the linter, or a program, on a machine that is busy with everything else.
          testTimeout: 30_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'kernel',
          include: KERNEL.map((folder) => `test/${folder}/**/*.test.ts`),
          // Each file has the kernel to itself: namespaces are apart, but processors, and with them every timing, are not.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
