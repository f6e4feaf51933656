import { stripVTControlCharacters } from 'node:util';
import type { Reporter, TestCase, TestModule, TestModuleState } from 'vitest/node';

/**
 * Ends a run with what failed and why, in few words, and one plain line, `N passed, N failed, N skipped`, for programs
 * that read the output. What broke outside of a test (a module that cannot be loaded, a rejection nobody handled)
 * counts as failed, and a run without tests fails.
 */
export class CountReporter implements Reporter {
  readonly onTestRunEnd: NonNullable<Reporter['onTestRunEnd']> = (modules, errors) => {
    const { passed, failed, skipped } = countTests(modules, errors.length);
    const failures = listFailures(modules, errors).join('\n');
    process.stdout.write(`\n${failures}${failures === '' ? '' : '\n\n'}`);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    if (passed + failed === 0) process.exitCode = 1;
  };
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What the reporter needs of an error. */
interface Reason {
  readonly message: string;
  readonly diff?: string;
  readonly stacks?: readonly { readonly file: string; readonly line: number }[];
}

/** What the reporter needs of a module of tests. */
export interface CountedModule {
  readonly state: () => TestModuleState;
  readonly relativeModuleId: string;
  readonly errors: () => readonly Reason[];
  readonly children: {
    readonly allTests: () => Iterable<Pick<TestCase, 'result' | 'fullName'>>;
    readonly allSuites: () => Iterable<{
      readonly fullName: string;
      readonly errors: () => readonly Reason[];
    }>;
  };
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

/** Whoever sees only the end of the output should learn what failed, where, and why, however much it is. */
export function listFailures(
  modules: readonly (CountedModule | TestModule)[],
  outside: readonly Reason[],
): string[] {
  const found: { readonly what: string; readonly reasons: readonly Reason[] }[] = [];
  for (const module of modules) {
    const { relativeModuleId: file } = module;
    for (const test of module.children.allTests()) {
      const { state, errors } = test.result();
      if (state === 'failed') found.push({ what: `${file} > ${test.fullName}`, reasons: errors ?? [] });
    }
    // Their hooks.
    for (const suite of module.children.allSuites())
      if (suite.errors().length > 0)
        found.push({ what: `${file} > ${suite.fullName}`, reasons: suite.errors() });
    if (module.errors().length > 0) found.push({ what: file, reasons: module.errors() });
  }
  if (outside.length > 0) found.push({ what: 'outside of tests', reasons: outside });
  return found.flatMap(({ what, reasons }, at) => [
    `failed: ${what}`,
    ...(at < EXPLAINED ? reasons.slice(0, EXPLAINED).flatMap(linesOf) : []),
  ]);
}

/** So many failures are explained, with so many lines of so many characters each. */
const EXPLAINED = 15;
const MESSAGE_LINES = 5;
const DIFFERENCE_LINES = 16;
const WIDTH = 240;

const cut = (line: string): string => (line.length > WIDTH ? `${line.slice(0, WIDTH)}...` : line);

/** The beginning and the end: programs say last what ended them. */
const ends = (lines: readonly string[], most: number): readonly string[] =>
  lines.length <= most ? lines : [...lines.slice(0, most / 2), '...', ...lines.slice(-most / 2)];

function linesOf({ message, diff = '', stacks = [] }: Reason): string[] {
  const [stack] = stacks;
  const isSaid = (line: string): boolean => line.trim() !== '';
  const said = message.split('\n').filter(isSaid);
  const differences = diff.split('\n').filter(isSaid);
  return [
    ...said.slice(0, MESSAGE_LINES),
    ...ends(differences, DIFFERENCE_LINES),
    ...(stack === undefined ? [] : [`at ${stack.file}:${stack.line}`]),
  ].map((line) => `    ${cut(stripVTControlCharacters(line))}`);
}
