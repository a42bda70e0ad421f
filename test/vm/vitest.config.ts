import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { ClosingLineReporter } from '../reporter.ts';

/** Virtual machines, which are emulated where there is no KVM: too slow for every run of the tests. */
export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, '../..'),
    reporters: [new ClosingLineReporter()],
    include: ['test/vm/**/*.test.ts'],
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
  },
});
