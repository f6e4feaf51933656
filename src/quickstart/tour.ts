/** The tour: one tree goes from alice to bob, and alice sees the records of it. Every step is a command one can type. */
import { stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { FatalError } from '../errors.js';
import { compareTrees, contentOf, isHidden } from './compare-trees.js';
import type { TreeContent } from './compare-trees.js';
import { writeConfiguration } from './demo-files.js';
import { startFileServer } from './file-server.js';
import { runProgram } from './programs.js';
import type { ProgramEnd } from './programs.js';
import { startPump } from './pump.js';
import type { Pump, PumpUser } from './pump.js';
import { makeSampleTree } from './sample-tree.js';
import { bytesText } from './screen.js';
import type { Screen } from './screen.js';
import type { WorkingFolder } from './working-folder.js';

/** What is up after a tour, and where. */
export interface Stage {
  readonly pump: Pump;
  /** What alice posts. */
  readonly tree: string;
  /** Where bob's copies are. */
  readonly mirror: string;
  readonly filesUrl: string;
  readonly stop: () => Promise<void>;
}

/** How many delivery records are shown; the others are counted. */
const shownRecords = 6;

const throwIfStopped = (signal: AbortSignal): void => {
  if (signal.aborted) throw new FatalError('Interrupted.');
};

/** The newcomer's tree, or a sample made for the occasion. */
export async function findTree(given: string | undefined, folder: WorkingFolder): Promise<string> {
  if (given === undefined) {
    const sample = join(folder.path, 'tree');
    await makeSampleTree(sample);
    return sample;
  }
  const found = await stat(given).catch((error: unknown) => {
    throw new FatalError(`Cannot read ${given}; give a directory that exists.`, {
      cause: error,
      exitCode: 2,
    });
  });
  if (!found.isDirectory()) throw new FatalError(`${given} is not a directory.`, { exitCode: 2 });
  if (!relative(given, folder.path).startsWith('..'))
    throw new FatalError(
      `The working folder ${folder.path} lies inside of ${given}, which would deliver itself; give a smaller directory, or another folder with --data.`,
      { exitCode: 2 },
    );
  return given;
}

/** Starts broker and file server. Nothing is left running when it throws. */
export async function setStage(folder: WorkingFolder, tree: string, signal: AbortSignal): Promise<Stage> {
  const server = await startFileServer(tree);
  try {
    const pump = await startPump({ directory: folder.path, temporary: folder.temporary, signal });
    const stop = async (): Promise<void> => {
      await Promise.all([pump.stop(), server.stop()]);
    };
    return { pump, tree, mirror: join(folder.path, 'mirror'), filesUrl: server.url, stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

interface Watch {
  readonly signal: AbortSignal;
  readonly onLine?: (line: string) => void;
  /** That some items failed (exit code 1) is expected; the comparison tells whether any other did. */
  readonly mayRefuse?: boolean;
}

/** Shows a command, runs it, and throws with its last words when it fails. */
async function run(
  screen: Screen,
  user: PumpUser,
  program: string,
  words: readonly string[],
  { signal, onLine, mayRefuse = false }: Watch,
): Promise<ProgramEnd> {
  throwIfStopped(signal);
  screen.command(user.name, [program, ...words]);
  const end = await runProgram(user, program, words, { signal, ...(onLine !== undefined && { onLine }) });
  throwIfStopped(signal);
  if (end.code !== 0 && !(mayRefuse && end.code === 1))
    throw new FatalError(
      [`${program} ended with code ${end.code}. Its last words:`, ...end.complaints].join('\n  '),
    );
  return end;
}

/** Both readers have their queues before anything is posted: a broker keeps nothing for queues that do not exist. */
async function subscribe(screen: Screen, { pump, mirror }: Stage, signal: AbortSignal): Promise<void> {
  const { alice, bob } = pump;
  screen.step('bob subscribes to everything, alice to the records about her files');
  const lines = await writeConfiguration(bob, 'subscribe', [
    ['broker', bob.brokerUrl],
    ['exchange', 'xpublic'],
    ['subtopic', '#'],
    ['directory', mirror],
    ['mirror', 'on'],
    ['accept', '.*'],
  ]);
  screen.line("bob's configuration subscribe/demo.conf says:");
  for (const line of lines) screen.line(`    ${line}`);
  await run(screen, bob, 'sr_subscribe', ['setup', 'demo'], { signal });
  await writeConfiguration(alice, 'report', [['broker', alice.brokerUrl]]);
  await run(screen, alice, 'sr_log', ['setup', 'demo'], { signal });
}

async function post(screen: Screen, stage: Stage, content: TreeContent, signal: AbortSignal): Promise<void> {
  const { pump, tree, filesUrl } = stage;
  screen.step('alice announces her files: a small message for each, the data stays where it is');
  const options: readonly (readonly [string, string])[] = [
    ...(content.leftOut.some(isHidden) ? [['reject', '.*/\\.ht.*'] as const] : []),
    ['post_broker', pump.alice.brokerUrl],
    ['post_base_url', filesUrl],
    ['post_base_dir', tree],
  ];
  await writeConfiguration(pump.alice, 'post', options);
  const words = [...options.flatMap(([name, value]) => [`--${name}`, value]), tree];
  await run(screen, pump.alice, 'sr_post', words, { signal });
}

async function readRecords(screen: Screen, { alice }: Pump, signal: AbortSignal): Promise<number> {
  screen.step('alice sees what became of each file');
  let [good, rows] = [0, 0];
  const onLine = (line: string): void => {
    const code = /^\d{4}-\d\d-\d\d \S+ +(\d{3}) /u.exec(line)?.[1];
    if (code !== undefined) rows += 1;
    if (code?.startsWith('2') === true) good += 1;
    if (rows <= shownRecords) screen.line(line);
  };
  await run(screen, alice, 'sr_log', ['--once', 'foreground', 'demo'], { signal, onLine });
  if (rows > shownRecords) screen.line(`... and ${rows - shownRecords} more`);
  return good;
}

/** Throws FatalError, with names, unless every file and link is there and has its record. */
function judge(
  differences: readonly { path: string; what: string }[],
  records: number,
  expected: number,
): void {
  if (differences.length > 0)
    throw new FatalError(
      [
        `${differences.length} of ${expected} were not delivered as they are:`,
        ...differences.slice(0, 10).map(({ path, what }) => `${what}: ${path}`),
        ...(differences.length > 10 ? ['...'] : []),
      ].join('\n  '),
    );
  if (records < expected)
    throw new FatalError(
      `Everything arrived, but alice got ${records} delivery records for ${expected} items.`,
    );
}

/** Delivers the tree and compares both ends. Throws FatalError when anything is missing or was interrupted. */
export async function tour(screen: Screen, stage: Stage, signal: AbortSignal): Promise<void> {
  const { pump, tree, mirror } = stage;
  const content = await contentOf(tree);
  const expected = content.files.size + content.links.length;
  await subscribe(screen, stage, signal);
  const started = performance.now();
  await post(screen, stage, content, signal);
  screen.step('bob fetches them');
  const mayRefuse = content.leftOut.length > 0;
  await run(screen, pump.bob, 'sr_subscribe', ['--once', 'foreground', 'demo'], { signal, mayRefuse });
  if (mayRefuse) screen.line('(links that lead out of the tree are announced, and refused by bob)');
  const seconds = (performance.now() - started) / 1000;
  const records = await readRecords(screen, pump, signal);
  screen.step('Both trees are compared');
  const differences = await compareTrees(tree, content, mirror);
  throwIfStopped(signal);
  judge(differences, records, expected);
  const bytes = [...content.files.values()].reduce((sum, size) => sum + size, 0);
  const { length } = content.links;
  const links = length === 0 ? '' : ` and ${length} ${length === 1 ? 'link' : 'links'}`;
  screen.table([
    ['files', `${content.files.size}${links}`],
    ['bytes', bytesText(bytes)],
    ['seconds', seconds.toFixed(1)],
    ['delivered', `all, identical, with ${records} records`],
    ...(content.leftOut.length === 0
      ? []
      : [
          [
            'left out',
            `${content.leftOut.length} (hidden from web servers, or links that lead out of the tree)`,
          ] as const,
        ]),
  ]);
}
