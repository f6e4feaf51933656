/** The tour: one tree goes from alice over the pump to bob, and alice sees the records of it. Every step is a command one can type. */
import { mkdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { FatalError } from '../errors.js';
import { compareTrees, contentOf, isHidden } from './compare-trees.js';
import type { TreeContent } from './compare-trees.js';
import { configurePump, untilEnded } from './daemons.js';
import type { Done, PublicTree } from './daemons.js';
import { writeConfiguration } from './demo-files.js';
import { startFileServer } from './file-server.js';
import { runProgram, stopAtDeath } from './programs.js';
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
  /** What the pump took in. */
  readonly shared: PublicTree;
  readonly stop: () => Promise<void>;
}

/** How many delivery records of each sender are shown; the others are counted. */
const shownRecords = 3;

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

/** Starts the broker, and a file server each for alice and for the pump. Nothing is left running when it throws. */
export async function setStage(folder: WorkingFolder, tree: string, signal: AbortSignal): Promise<Stage> {
  const directory = join(folder.path, 'pub');
  await mkdir(directory, { recursive: true });
  const hers = await startFileServer(tree);
  const shared = await startFileServer(directory);
  const stopServers = (): Promise<unknown> => Promise.all([hers.stop(), shared.stop()]);
  try {
    const pump = await startPump({ directory: folder.path, temporary: folder.temporary, signal });
    const guard = stopAtDeath(pump.feeder, folder.temporary ? folder.path : undefined);
    return {
      pump,
      tree,
      mirror: join(folder.path, 'mirror'),
      filesUrl: hers.url,
      shared: { directory, url: shared.url },
      stop: async () => {
        // Also after an interruption: they would look for their broker for ever.
        await runProgram(pump.feeder, 'sr', ['stop']);
        await Promise.all([pump.stop(), stopServers()]);
        guard.end();
      },
    };
  } catch (error) {
    await stopServers();
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

/** Shows what a configuration says. */
function showFile(screen: Screen, whose: string, name: string, lines: readonly string[]): void {
  screen.line(`${whose} ${name} says:`);
  for (const line of lines) screen.line(`    ${line}`);
}

async function startDaemons(screen: Screen, { pump, shared }: Stage, signal: AbortSignal): Promise<void> {
  screen.step('The pump starts its programs: one takes in what alice posts, two bring records back');
  for (const { name, lines } of await configurePump(pump, shared))
    showFile(screen, "the pump's", name, lines);
  await run(screen, pump.feeder, 'sr', ['start'], { signal });
}

/** Both readers have their queues before anything is posted: a broker keeps nothing for queues that do not exist. */
async function subscribe(screen: Screen, { pump, mirror }: Stage, signal: AbortSignal): Promise<void> {
  const { alice, bob } = pump;
  screen.step('bob subscribes to what the pump has of alice, alice to the records about her files');
  const lines = await writeConfiguration(bob, 'subscribe', [
    ['broker', bob.brokerUrl],
    ['exchange', 'xpublic'],
    ['subtopic', `${alice.name}.#`],
    ['strip', '2'],
    ['directory', mirror],
    ['mirror', 'on'],
    ['accept', '.*'],
  ]);
  showFile(screen, "bob's", 'subscribe/demo.conf', lines);
  await run(screen, bob, 'sr_subscribe', ['setup', 'demo'], { signal });
  await writeConfiguration(alice, 'report', [['broker', alice.brokerUrl]]);
  await run(screen, alice, 'sr_log', ['setup', 'demo'], { signal });
}

/** What a program says at its end that it took. */
const takenBy = ({ complaints }: ProgramEnd): number =>
  Number(/(\d+) taken/u.exec(complaints.join('\n'))?.[1] ?? 0);

async function post(
  screen: Screen,
  stage: Stage,
  content: TreeContent,
  signal: AbortSignal,
): Promise<number> {
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
  return takenBy(await run(screen, pump.alice, 'sr_post', words, { signal }));
}

/** Records of success, by who sent them. */
type Records = ReadonlyMap<string, number>;

async function readRecords(screen: Screen, { alice }: Pump, signal: AbortSignal): Promise<Records> {
  const good = new Map<string, number>();
  const seen = new Map<string, number>();
  let left = 0;
  const onLine = (line: string): void => {
    const [, code, who = ''] = /^\d{4}-\d\d-\d\d \S+ +(\d{3}) +\S+ +([^@\s]+)@/u.exec(line) ?? [];
    const count = (seen.get(who) ?? 0) + 1;
    if (code !== undefined) seen.set(who, count);
    if (code?.startsWith('2') === true) good.set(who, (good.get(who) ?? 0) + 1);
    if (code === undefined || count <= shownRecords) screen.line(line);
    else left += 1;
  };
  await run(screen, alice, 'sr_log', ['--once', 'foreground', 'demo'], { signal, onLine });
  if (left > 0) screen.line(`... and ${left} more`);
  return good;
}

/** How many of the items came past each hop. */
interface Hops {
  readonly posted: number;
  readonly takenIn: Done;
  readonly delivered: number;
  readonly records: Records;
}

/** From alice over the pump to bob, and back with the records. */
async function deliver(
  screen: Screen,
  stage: Stage,
  content: TreeContent,
  signal: AbortSignal,
): Promise<Hops> {
  const { pump } = stage;
  const posted = await post(screen, stage, content, signal);
  screen.step('The pump takes them in, and announces its copies to everybody');
  const takenIn = await untilEnded(pump, 'sarra/demo', posted, signal);
  screen.line(
    `${takenIn.received} announcements of alice came in, and ${takenIn.done} of them are on the pump`,
  );
  if (content.leftOut.length > 0) screen.line('(links that lead out of the tree are announced, and refused)');
  screen.step('bob fetches them from the pump');
  const ended = await run(screen, pump.bob, 'sr_subscribe', ['--once', 'foreground', 'demo'], {
    signal,
    mayRefuse: content.leftOut.length > 0,
  });
  const delivered = takenBy(ended);
  screen.step('alice sees what became of each file: at the pump, and at bob');
  await untilEnded(pump, '2xlog/demo', delivered, signal);
  await untilEnded(pump, 'log2source/demo', takenIn.ended + delivered, signal);
  return { posted, takenIn, delivered, records: await readRecords(screen, pump, signal) };
}

/** Throws FatalError, with names, unless every file and link is there and has its records. */
function judge(
  differences: readonly { path: string; what: string }[],
  { records }: Hops,
  { feeder, bob }: Pump,
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
  for (const { name } of [feeder, bob]) {
    const found = records.get(name) ?? 0;
    if (found < expected)
      throw new FatalError(
        `Everything arrived, but alice got ${found} delivery records from ${name} for ${expected} items.`,
      );
  }
}

/** The words at the end: each hop, and what has come past it. */
function showHops(screen: Screen, { pump }: Stage, content: TreeContent, hops: Hops, seconds: number): void {
  const { records, posted, takenIn, delivered } = hops;
  const bytes = [...content.files.values()].reduce((sum, size) => sum + size, 0);
  const { length } = content.links;
  const links = length === 0 ? '' : ` and ${length} ${length === 1 ? 'link' : 'links'}`;
  const [fromPump = 0, fromBob = 0] = [pump.feeder, pump.bob].map(({ name }) => records.get(name));
  screen.table([
    ['files', `${content.files.size}${links}, ${bytesText(bytes)}`],
    ['posted', `${posted} by alice`],
    ['taken in', `${takenIn.done} by the pump`],
    ['delivered', `${delivered} to bob, all identical`],
    ['recorded', `${fromPump + fromBob} records seen by alice: ${fromPump} of the pump, ${fromBob} of bob`],
    ['seconds', seconds.toFixed(1)],
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

/** Delivers the tree and compares both ends. Throws FatalError when anything is missing or was interrupted. */
export async function tour(screen: Screen, stage: Stage, signal: AbortSignal): Promise<void> {
  const content = await contentOf(stage.tree);
  await startDaemons(screen, stage, signal);
  await subscribe(screen, stage, signal);
  const started = performance.now();
  const hops = await deliver(screen, stage, content, signal);
  const seconds = (performance.now() - started) / 1000;
  screen.step('Both trees are compared');
  const differences = await compareTrees(stage.tree, content, stage.mirror);
  throwIfStopped(signal);
  judge(differences, hops, stage.pump, content.files.size + content.links.length);
  showHops(screen, stage, content, hops, seconds);
}
