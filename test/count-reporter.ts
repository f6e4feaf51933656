import type { Reporter, TestCase, TestModule, TestModuleState } from 'vitest/node';

/**
 * Ends a run with one plain line, `N passed, N failed, N skipped`, for programs that read the output. What broke
 * outside of a test (a module that cannot be loaded, a rejection nobody handled) counts as failed, and a run without
 * tests fails.
 */
export class CountReporter implements Reporter {
  readonly onTestRunEnd: NonNullable<Reporter['onTestRunEnd']> = (modules, errors) => {
    const { passed, failed, skipped } = countTests(modules, errors.length);
    process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    if (passed + failed === 0) process.exitCode = 1;
  };
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What the reporter needs of a module of tests. */
export interface CountedModule {
  readonly state: () => TestModuleState;
  readonly children: { readonly allTests: () => Iterable<Pick<TestCase, 'result'>> };
}

/** `outside`: errors that belong to no test. */
export function countTests(modules: readonly (CountedModule | TestModule)[], outside: number): Counts {
  const counts: Counts = { passed: 0, failed: outside, skipped: 0 };
  for (const module of modules) {
    let failed = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') counts.passed += 1;
      else if (state === 'failed') failed += 1;
      else counts.skipped += 1;
    }
    // A module can fail without any of its tests having run.
    counts.failed += failed === 0 && module.state() === 'failed' ? 1 : failed;
  }
  return counts;
}
