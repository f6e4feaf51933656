import { describe, expect, it } from 'vitest';
import type { TestCase } from 'vitest/node';
import { countTests } from './count-reporter.js';
import type { CountedModule } from './count-reporter.js';

type State = ReturnType<TestCase['result']>['state'];

const moduleOf = (state: 'passed' | 'failed' | 'skipped', ...tests: State[]): CountedModule => ({
  state: () => state,
  children: {
    allTests: () =>
      tests.map((one) => ({ result: () => ({ state: one }) as ReturnType<TestCase['result']> })),
  },
});

describe('counting tests', () => {
  it('adds up modules', () => {
    const modules = [moduleOf('failed', 'passed', 'failed', 'skipped'), moduleOf('passed', 'passed')];
    expect(countTests(modules, 0)).toEqual({ passed: 2, failed: 1, skipped: 1 });
  });

  it('takes a module that could not be loaded, and an error outside of tests, for failures', () => {
    expect(countTests([moduleOf('failed'), moduleOf('passed', 'passed')], 1)).toEqual({
      passed: 1,
      failed: 2,
      skipped: 0,
    });
  });

  it('takes a test that never ran for skipped', () => {
    expect(countTests([moduleOf('passed', 'pending')], 0)).toEqual({ passed: 0, failed: 0, skipped: 1 });
  });
});
