import { setMaxListeners } from 'node:events';
import { resolve } from 'node:path';
import { createFailures } from '../process/work/failures.js';
import type { Config } from '../config/config.js';
import { makeDirectories } from '../config/directories.js';
import { isRouter } from '../config/option.js';
import { FatalError } from '../errors.js';
import type { Log, Logger } from '../logger.js';
import { type Finish, runForeground } from '../process/work/foreground.js';
import type { OpenKit } from '../process/work/kit.js';
import type { Poster } from '../process/posting/poster.js';
import { type Places, placesOf, readOrder } from '../process/places/order.js';
import { refuseUnavailable, requireComponent } from '../process/work/run.js';
import { untilSignal } from '../process/daemon/signals.js';
import { endText, keepingText, spoolText } from '../process/work/summary.js';
import { type Outfit, outfitOf, sayWarnings } from '../process/work/surroundings.js';
import { type Counting, createTally } from '../process/work/tally.js';
import { type Call, type Progress, type Run, orderOf } from './action.js';
import { chosenToRun } from './chosen.js';
import { logTo } from './log-to.js';
import { readPaths } from './paths.js';

/** Milliseconds between two questions to the broker how much is left. */
const LOOK_AT_QUEUE = 2000;

/** One configuration, ready to run. */
interface Ready {
  readonly config: Config;
  readonly logger: Logger;
  readonly outfit: Outfit;
  readonly places: Places;
  /** Begins each line that is not a line of the log, where there are several. */
  readonly title: string;
}

/**
 * Runs configurations in front, all in this process. With somebody watching there is a line of progress, and only
 * warnings are logged unless the configuration names a level; else every line is logged. What is kept is said first,
 * and the balance last. One that cannot be used keeps all from starting; one that fails later does not stop the rest.
 */
export const foreground: Run = async (call) => {
  const { configuration, rest } = call.given;
  const names = isRouter(call.facts.name) ? chosenToRun(call) : [configuration, ...rest];
  if (names.length === 0)
    throw new FatalError(`there are no configurations; see ${call.program} list`, { exitCode: 2 });
  const isAlone = names.length === 1;
  const ready: Ready[] = [];
  for (const name of names) ready.push(await prepare(call, name, isAlone));
  refuseTwice(ready);
  const [first] = ready;
  if (first?.config.posting.drain === true) return drain(call, first.config, first.logger);
  return run(call, ready, isAlone);
};

/** Throws FatalError (2) when the configuration cannot be used. */
async function prepare(call: Call, name: string | undefined, isAlone: boolean): Promise<Ready> {
  const { terminal, host } = call;
  const config = readOrder(orderOf(call, name), host);
  refuseUnavailable(config, requireComponent(config));
  const log = await logTo(terminal, config, terminal.isWatched ? 'warning' : 'info');
  const title = isAlone ? '' : `${config.name ?? name ?? config.program}: `;
  // In JSON the configuration is a member of each line.
  const logger = isAlone || config.running.logFormat === 'json' ? log : titled(log, title);
  sayWarnings(config, logger);
  const places = placesOf(config, host);
  const posts = config.queueName === undefined;
  const isRehearsal = config.running.dryRun || config.running.simulate;
  if (posts && !config.posting.drain) requirePaths(config);
  // A rehearsal keeps nothing, and leaves nothing behind.
  else if (!posts && !isRehearsal) makeDirectories(places.directories);
  return { config, logger, outfit: outfitOf(config, host, logger), places, title };
}

const titled = ({ critical, error, warning, info, debug, isDebugging }: Logger, title: string): Logger => {
  const via =
    (log: Log): Log =>
    (message, fields) =>
      log(`${title}${message}`, fields);
  return {
    critical: via(critical),
    error: via(error),
    warning: via(warning),
    info: via(info),
    debug: via(debug),
    isDebugging,
  };
};

function refuseTwice(ready: readonly Ready[]): void {
  const states = new Set<string>();
  for (const { places, config } of ready) {
    if (states.has(places.state))
      throw new FatalError(`${config.name ?? ''} is named twice; name it once`, { exitCode: 2 });
    states.add(places.state);
  }
}

/**
 * Runs them side by side until the last has ended; one interrupt stops them all, and so does an error of one that
 * nobody foresaw: it is thrown when the others have ended as they would at an interrupt.
 */
async function run(call: Call, ready: readonly Ready[], isAlone: boolean): Promise<number> {
  const { terminal } = call;
  const signals = untilSignal();
  const unforeseen = new AbortController();
  const stop = AbortSignal.any([signals.stop, unforeseen.signal]);
  // Each configuration listens to it.
  setMaxListeners(0, stop);
  const works = ready.map((one) => ({ one, counting: createTally(one.outfit.now), queue: lookAtNothing }));
  const progress = terminal.progress(() =>
    summed(works.map(({ counting, queue }) => ({ ...counting.tally(), left: queue.left() }))),
  );
  try {
    const codes = works.map(async (work) => {
      try {
        return await runOne(call, work, stop, progress.end);
      } catch (thrown) {
        if (isAlone) throw thrown;
        if (thrown instanceof FatalError)
          terminal.note(`${call.program} ${work.one.title}${thrown.message}\n`);
        else unforeseen.abort(thrown);
        return 1;
      }
    });
    const worst = Math.max(...(await Promise.all(codes)));
    unforeseen.signal.throwIfAborted();
    return worst;
  } finally {
    progress.end();
    signals.cancel();
  }
}

/** Several at once, as one. */
const summed = (all: readonly Progress[]): Progress =>
  all.reduce((total, one) => ({
    files: total.files + one.files,
    blocks: total.blocks + one.blocks,
    large: one.large ?? total.large,
    bytes: total.bytes + one.bytes,
    failures: total.failures + one.failures,
    left: total.left === undefined ? one.left : total.left + (one.left ?? 0),
  }));

interface Work {
  readonly one: Ready;
  readonly counting: Counting;
  queue: Look;
}

async function runOne(call: Call, work: Work, stop: AbortSignal, endProgress: () => void): Promise<number> {
  const { terminal } = call;
  const { counting } = work;
  const { config, logger, outfit, places, title } = work.one;
  const failures = createFailures(logger);
  const started = performance.now();
  let poster: Poster | undefined;
  try {
    const finish = await runForeground(
      config,
      {
        ...outfit,
        write: terminal.write,
        colour: terminal.colour,
        watcher: counting.watcher,
        failures,
        paths: pathsOf(config, call),
      },
      {
        stop,
        tally: counting.tally,
        shared: title !== '',
        running: (kit) => {
          poster = kit.poster;
          const text = keepingText(config, kit.plan, places.state);
          if (terminal.isWatched) terminal.note(`${title}${text}\n`);
          else logger.info(text);
          if (terminal.isWatched) work.queue = lookAtQueue(kit);
        },
      },
    );
    if (title === '') endProgress();
    if (poster !== undefined && stop.aborted) failures.note(stoppedText(finish));
    const seconds = (performance.now() - started) / 1000;
    const spool = poster === undefined ? '' : spoolText(await poster.counts());
    const end = endText(counting.tally(), finish.balance, seconds, finish.waiting);
    terminal.note(`${title}${end}${spool}\n`);
    return codeOf(config, finish, failures.count());
  } finally {
    work.queue.end();
  }
}

/** Whoever stops a program that posts must not take the tree for posted. */
const stoppedText = ({ balance }: Finish): string =>
  `stopped before the end: ${balance.handedBack + balance.failed} posts in hand were not confirmed, ` +
  'and what had not been looked at was not posted';

/** Posts what waits in the spool, and nothing else. */
async function drain(call: Call, config: Config, logger: Logger): Promise<number> {
  if (call.given.paths.length > 0) {
    throw new FatalError('--drain posts only what waits in the spool: leave out the paths', { exitCode: 2 });
  }
  const { drainConfiguration } = await import('../process/posting/drain.js');
  const signals = untilSignal();
  try {
    const outfit = outfitOf(config, call.host, logger);
    const counts = await drainConfiguration(config, outfit, signals.stop);
    call.terminal.note(`${counts.drained} posts${spoolText(counts)}\n`);
    return counts.waiting + counts.lost > 0 ? 1 : 0;
  } finally {
    signals.cancel();
  }
}

/** A run that is to come to an end fails when anything failed; one that goes on until it is stopped does not. */
function codeOf(config: Config, { balance, waiting }: Finish, failures: number): number {
  if (config.queueName === undefined) return failures > 0 ? 1 : 0;
  return config.running.once && (balance.refused > 0 || waiting > 0) ? 1 : 0;
}

interface Look {
  readonly left: () => number | undefined;
  readonly end: () => void;
}

const lookAtNothing: Look = { left: () => undefined, end: () => undefined };

/** Asks the broker now and then how much is left in the queue. */
function lookAtQueue(kit: OpenKit): Look {
  let left: number | undefined;
  const look = (): void => {
    const asked = kit.opened()?.ready();
    asked?.then(
      (ready) => (left = ready),
      () => (left = undefined),
    );
  };
  look();
  const timer = setInterval(look, LOOK_AT_QUEUE);
  timer.unref();
  return { left: () => left, end: () => clearInterval(timer) };
}

function requirePaths(config: Config): void {
  const { path, pipe, move } = config.posting;
  if (path.length > 0 || pipe || move !== undefined) return;
  throw new FatalError(
    'nothing to post: name files or directories, or give --pipe to read them from standard input',
    { exitCode: 2 },
  );
}

/** What is to be announced, absolute: the paths that are named, then those from standard input. */
async function* pathsOf(config: Config, { host }: Call): AsyncIterable<string> {
  const { path, pipe, postBaseDir } = config.posting;
  const absolute = (one: string): string => resolve(host.cwd, one);
  for (const one of path) yield absolute(one);
  if (!pipe) return;
  for await (const one of readPaths(process.stdin)) yield resolve(postBaseDir ?? host.cwd, one);
}
