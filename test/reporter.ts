import type { SerializedError } from 'vitest';
import { DefaultReporter, type TestModule, type TestRunEndReason } from 'vitest/node';

interface TestCount {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Vitest's own report, and after it as the very last line `N passed, N failed, N skipped`, counting tests.
 *
 * What fails outside of a test counts as a failed test too: a file that does not load, a hook, an unhandled error. A run
 * of no test at all ends with exit code 1, because it proves nothing.
 */
export class ClosingLineReporter extends DefaultReporter {
  override onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    super.onTestRunEnd(modules, unhandledErrors, reason);
    const { passed, failed, skipped } = countTests(modules, unhandledErrors.length);
    if (failed > 0 || passed === 0) process.exitCode = 1;
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}

function countTests(modules: readonly TestModule[], unhandledErrors: number): TestCount {
  let [passed, failed, skipped] = [0, unhandledErrors, 0];
  for (const module of modules) {
    const before = failed;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') passed += 1;
      else if (state === 'failed') failed += 1;
      else skipped += 1;
    }
    for (const suite of [module, ...module.children.allSuites()]) if (suite.errors().length > 0) failed += 1;
    if (failed === before && !module.ok()) failed += 1;
  }
  return { passed, failed, skipped };
}
