/** A copy of the checkout in which a bug can be planted, and tests run against it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Plant, Tests } from './plants.js';

export interface Verdict {
  /** Full name, with those of the groups it is in. */
  readonly name: string;
  readonly file: string;
  readonly passed: boolean;
  /** First line of why it failed. */
  readonly reason: string;
}

export interface Orchard {
  /** Changes the one place, and compiles. Throws when the place is not there exactly once, or it does not compile. */
  readonly plant: (plant: Plant) => Promise<void>;
  /** Puts the sources back. */
  readonly clear: () => Promise<void>;
  /** What became of these tests. Throws when a file of tests broke as a whole. */
  readonly test: (tests: readonly Tests[]) => Promise<readonly Verdict[]>;
  readonly remove: () => Promise<void>;
}

/** Milliseconds that compiling, or a run of tests, may take. */
const LONGEST = 900_000;

/** Runs a program to its end; what it wrote. */
async function run(
  directory: string,
  [program = '', ...words]: readonly string[],
  stop: AbortSignal,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(LONGEST)]);
  const env = { ...process.env };
  // The programs of the copy, not of an installed package.
  delete env['SARRA_TEST_BIN'];
  delete env['SR_LONG'];
  const child = spawn(program, words, { cwd: directory, env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}

/** Copies what belongs to the checkout as it stands now, uncommitted edits too. */
async function copyOf(checkout: string, stop: AbortSignal): Promise<string> {
  const words = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { code, output } = await run(checkout, words, stop);
  if (code !== 0) throw new Error(`this is no git checkout: ${output}`);
  const directory = await mkdtemp(join(tmpdir(), 'sarra-planted-'));
  for (const path of new Set(output.split('\0'))) {
    if (path === '' || !existsSync(join(checkout, path))) continue;
    await cp(join(checkout, path), join(directory, path));
  }
  const isOfThePrograms = (path: string): boolean => !/^\.(?:bench|planted)$/u.test(basename(path));
  await cp(join(checkout, 'dist'), join(directory, 'dist'), { recursive: true, filter: isOfThePrograms });
  await symlink(join(checkout, 'node_modules'), join(directory, 'node_modules'));
  return directory;
}

interface Assertion {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages: readonly string[] | null;
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly Assertion[];
  }[];
}

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&');

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? '';

/** Makes the copy and compiles it. `stop` ends whatever is under way. */
export async function openOrchard(checkout: string, stop: AbortSignal): Promise<Orchard> {
  const directory = await copyOf(checkout, stop);
  const report = join(directory, 'dist', '.report.json');
  let planted: { readonly file: string; readonly text: string } | undefined;

  const compile = async (): Promise<void> => {
    const { code, output } = await run(directory, ['/bin/sh', 'packaging/bootstrap.sh'], stop);
    if (code !== 0) throw new Error(`does not compile:\n${output}`);
  };
  const clear = async (): Promise<void> => {
    if (planted !== undefined) await writeFile(planted.file, planted.text);
    planted = undefined;
  };
  const verdicts = async (output: string): Promise<readonly Verdict[]> => {
    const text = await readFile(report, 'utf8').catch(() => undefined);
    if (text === undefined) throw new Error(`the tests did not run:\n${output}`);
    const { testResults } = JSON.parse(text) as Report;
    return testResults.flatMap(({ name: file, status, message, assertionResults }) => {
      const ran = assertionResults.filter(({ status: one }) => one === 'passed' || one === 'failed');
      if (status === 'failed' && !ran.some((one) => one.status === 'failed'))
        throw new Error(`${file} broke as a whole: ${message}`);
      return ran.map(({ fullName, status: one, failureMessages }) => ({
        name: fullName,
        file: file.slice(directory.length + 1),
        passed: one === 'passed',
        reason: firstLine(failureMessages?.[0] ?? ''),
      }));
    });
  };

  try {
    await compile();
  } catch (thrown) {
    await rm(directory, { recursive: true, force: true });
    throw thrown;
  }
  return {
    plant: async (plant) => {
      await clear();
      const file = join(directory, plant.file);
      const text = await readFile(file, 'utf8');
      const places = text.split(plant.original).length - 1;
      if (places !== 1)
        throw new Error(
          `${plant.file} has ${places} places like this where one was expected; ` +
            `the sources have changed, and this plant must follow them:\n${plant.original}`,
        );
      planted = { file, text };
      await writeFile(
        file,
        text.replace(plant.original, () => plant.planted),
      );
      await compile();
    },
    clear,
    test: async (tests) => {
      await rm(report, { force: true });
      const files = [...new Set(tests.map(({ file }) => file))];
      const names = [...new Set(tests.map(({ name }) => literally(name)))].join('|');
      const { output } = await run(
        directory,
        [
          ...[process.execPath, 'node_modules/vitest/vitest.mjs', 'run', ...files],
          ...['-t', names, '--reporter=json', `--outputFile=${report}`],
          // Only what a test expects is to let it fail.
          `--testTimeout=${LONGEST / 2}`,
        ],
        stop,
      );
      return verdicts(output);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
