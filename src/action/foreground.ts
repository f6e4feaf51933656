import { resolve } from 'node:path';
import { createFailures } from '../process/failures.js';
import type { Config } from '../config/config.js';
import { makeDirectories } from '../config/directories.js';
import { FatalError } from '../errors.js';
import type { Logger } from '../logger.js';
import { type Finish, runForeground } from '../process/foreground.js';
import type { OpenKit } from '../process/kit.js';
import type { Poster } from '../process/poster.js';
import { type Places, placesOf, readOrder } from '../process/order.js';
import { refuseUnavailable, requireComponent } from '../process/run.js';
import { untilSignal } from '../process/signals.js';
import { endText, keepingText, spoolText } from '../process/summary.js';
import { type Outfit, outfitOf, sayWarnings } from '../process/surroundings.js';
import { createTally } from '../process/tally.js';
import { type Call, type Run, orderOf } from './action.js';
import { logTo } from './log-to.js';
import { readPaths } from './paths.js';

/** Milliseconds between two questions to the broker how much is left. */
const LOOK_AT_QUEUE = 2000;

/**
 * Runs a configuration in front. With somebody watching there is a line of progress, and only warnings are logged
 * unless the configuration names a level; else every line is logged. What is kept is said first, and the balance last.
 */
export const foreground: Run = async (call) => {
  const { terminal, host } = call;
  const config = readOrder(orderOf(call), host);
  refuseUnavailable(config, requireComponent(config));
  const logger = await logTo(terminal, config, terminal.isWatched ? 'warning' : 'info');
  sayWarnings(config, logger);
  const places = placesOf(config, host);
  const posts = config.queueName === undefined;
  const isRehearsal = config.running.dryRun || config.running.simulate;
  if (config.posting.drain) return drain(call, config, logger);
  if (posts) requirePaths(config);
  // A rehearsal keeps nothing, and leaves nothing behind.
  else if (!isRehearsal) makeDirectories(places.directories);
  return run(call, config, logger, outfitOf(config, host, logger), places);
};

async function run(
  call: Call,
  config: Config,
  logger: Logger,
  outfit: Outfit,
  places: Places,
): Promise<number> {
  const { terminal } = call;
  const counting = createTally(outfit.now);
  const failures = createFailures(logger);
  const signals = untilSignal();
  const started = performance.now();
  let queue = lookAtNothing;
  let poster: Poster | undefined;
  const progress = terminal.progress(() => ({ ...counting.tally(), left: queue.left() }));
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
        stop: signals.stop,
        tally: counting.tally,
        running: (kit) => {
          poster = kit.poster;
          const text = keepingText(config, kit.plan, places.state);
          if (terminal.isWatched) terminal.note(`${text}\n`);
          else logger.info(text);
          if (terminal.isWatched) queue = lookAtQueue(kit);
        },
      },
    );
    progress.end();
    if (poster !== undefined && signals.stop.aborted) failures.note(stoppedText(finish));
    const seconds = (performance.now() - started) / 1000;
    const spool = poster === undefined ? '' : spoolText(await poster.counts());
    terminal.note(`${endText(counting.tally(), finish.balance, seconds, finish.waiting)}${spool}\n`);
    return codeOf(config, finish, failures.count());
  } finally {
    progress.end();
    queue.end();
    signals.cancel();
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
  const { drainConfiguration } = await import('../process/drain.js');
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
