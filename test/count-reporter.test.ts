import { describe, expect, it } from 'vitest';
import type { TestCase } from 'vitest/node';
import { countTests, listFailures } from './count-reporter.js';
import type { CountedModule } from './count-reporter.js';

type Result = ReturnType<TestCase['result']>;
type State = Result['state'];

const moduleOf = (state: 'passed' | 'failed' | 'skipped', ...tests: (State | Error)[]): CountedModule => ({
  state: () => state,
  relativeModuleId: 'test/some.test.ts',
  errors: () => [],
  children: {
    allTests: () =>
      tests.map((one, number) => {
        const result = one instanceof Error ? { state: 'failed', errors: [one] } : { state: one };
        return { fullName: `suite > test ${number}`, result: () => result as Result };
      }),
    allSuites: () => [],
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

describe('telling what failed', () => {
  it('says what, why, and where, and nothing of what passed', () => {
    const error = Object.assign(new Error('expected 1 to be 2\n\nmore'), {
      diff: '\u001b[32m- Expected\u001b[39m\n  same\n\u001b[31m+ Received\u001b[39m',
      stacks: [{ file: 'test/some.test.ts', line: 7 }],
    });
    expect(listFailures([moduleOf('failed', 'passed', error)], [])).toEqual([
      'failed: test/some.test.ts > suite > test 1',
      '    expected 1 to be 2',
      '    more',
      '    - Expected',
      '      same',
      '    + Received',
      '    at test/some.test.ts:7',
    ]);
    expect(listFailures([moduleOf('passed', 'passed', 'skipped')], [])).toEqual([]);
  });

  it('is brief, however long a message is and however much fails', () => {
    const errors = Array.from({ length: 100 }, () => new Error('very long '.repeat(10_000)));
    const lines = listFailures([moduleOf('failed', ...errors)], []);
    expect(lines.filter((line) => line.startsWith('failed: '))).toHaveLength(100);
    expect(lines.join('\n').length).toBeLessThan(12_000);
  });

  it('shows of a long difference the beginning and the end', () => {
    const diff = Array.from({ length: 100 }, (_, number) => `+ line ${number}`).join('\n');
    const lines = listFailures([moduleOf('failed', Object.assign(new Error('no'), { diff }))], []);
    expect(lines).toHaveLength(19);
    expect(lines.at(2)).toBe('    + line 0');
    expect(lines.at(-1)).toBe('    + line 99');
  });

  it('names a suite whose hook failed', () => {
    const module = moduleOf('failed', 'skipped');
    const suite = { fullName: 'suite', errors: () => [new Error('not set up')] };
    const told = listFailures(
      [{ ...module, children: { ...module.children, allSuites: () => [suite] } }],
      [],
    );
    expect(told).toEqual(['failed: test/some.test.ts > suite', '    not set up']);
  });

  it('names a file that could not be loaded, and what broke outside of tests', () => {
    const module = { ...moduleOf('failed'), errors: () => [new Error('no such module')] };
    expect(listFailures([module], [new Error('nobody caught this')])).toEqual([
      'failed: test/some.test.ts',
      '    no such module',
      'failed: outside of tests',
      '    nobody caught this',
    ]);
  });
});
