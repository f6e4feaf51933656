import { FatalError, messageOf } from '../../errors.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { becomeOwner } from '../../store/owner/owner.js';
import type { Handlers } from '../../store/owner/server.js';
import type { Entry } from '../entry.js';
import { groupStatus } from './group-status.js';
import {
  type Group,
  type GroupOptions,
  endLeaving,
  endWhenIdle,
  letGo,
  openGroup,
  start,
  stop,
} from './start-stop.js';
import { newStarting } from './starting.js';
import { takeOver } from './take-over.js';
import { type Turns, takeTurns } from './turns.js';
import { whenRemoved } from './when-removed.js';
import { sweepWanted } from '../wanted.js';
import type { GroupStatus, Result, StartRequest, StopRequest } from '../words.js';

/*
 * What runs all configurations of a user. It opens no broker and reads no configuration: it knows which ones shall
 * run, gives each its process, and keeps these processes. Who the keeper is, is decided by the lock of its directory,
 * as for the state of a configuration. It may die at any moment: what it keeps goes on, and the next keeper finds it.
 */

export interface KeeperOptions extends GroupOptions {
  readonly mode: 'daemon' | 'foreground';
  /** Start nothing that it is not asked for. */
  readonly fresh: boolean;
  /** Questions are answered from now on. */
  readonly ready: (keeper: Keeping) => void;
  /** It begins to end. */
  readonly stopping?: () => void;
}

/** What one may ask of the keeper. */
export interface Keeping {
  readonly start: (entries: readonly Entry[]) => Promise<readonly Result[]>;
  readonly status: () => Promise<GroupStatus>;
}

/** Keeps until nothing is wanted any more, or it is told to end. Answers false when there is a keeper already. */
export async function keep(options: KeeperOptions): Promise<boolean> {
  const { directory, logger, mode } = options;
  const started = Date.now();
  const over = new AbortController();
  const turns = takeTurns();
  const group = openGroup(options, over);
  const status = (): Promise<GroupStatus> =>
    groupStatus({ ...group, wanted: [...group.wanted.values()], started, mode });
  let tookOver: () => void = () => undefined;
  const isTakenOver = new Promise<void>((resolve) => (tookOver = resolve));
  const operations = operationsOf(group, turns, isTakenOver);
  const handlers: Handlers = {
    start: (body) => operations.start((body as StartRequest).entries),
    stop: (body) => operations.stop((body as StopRequest).keys),
    sanity: () => operations.start(undefined),
    status,
    gone: async (body) => {
      const { key, reason } = body as { readonly key: string; readonly reason: string };
      return turns.queue(async () => {
        // It may have been started again meanwhile.
        if (await group.fleet.carries(key)) return;
        logger.info(`${key}: ${reason}`);
        await letGo(group, [key]);
      });
    },
  };
  const owner = await becomeOwner(directory, { logger, handlers });
  if (owner === undefined) return false;
  const signals = untilSignal(mode === 'daemon' ? { hangUp: () => undefined } : {});
  const watch = whenRemoved(directory, () => {
    logger.error(`${directory} has been removed, and nobody can reach this keeper any more: all of it ends`);
    over.abort(new FatalError(`${directory} has been removed`));
  });
  try {
    logger.info(`keeper: process ${process.pid}`);
    await sweepWanted(options.wanted);
    const missing = await turns.queue(() => takeOver(group, options));
    tookOver();
    if (group.leaving.size > 0) void turns.now(() => endLeaving(group));
    // Nobody waits for these, and answers are due meanwhile.
    if (missing.length > 0) void operations.start(missing);
    // Whoever was kept has been stopped since: nobody else would end this.
    if (!options.fresh) endWhenIdle(group);
    options.ready({ start: operations.start, status });
    await untilAborted(AbortSignal.any([signals.stop, over.signal]));
    logger.info('stopping');
    options.stopping?.();
    await operations.end();
  } finally {
    watch.end();
    signals.cancel();
    // Whoever asked for the end still reads the answer.
    await owner.close().catch((thrown: unknown) => logger.error(messageOf(thrown)));
    logger.info('keeper: stopped');
  }
  return true;
}

interface Operations {
  /** All that is wanted when none are given. */
  readonly start: (entries: readonly Entry[] | undefined) => Promise<readonly Result[]>;
  readonly stop: (keys: readonly string[]) => Promise<readonly Result[]>;
  /** Stops everything, and starts nothing any more. */
  readonly end: () => Promise<void>;
}

function operationsOf(group: Group, turns: Turns, isTakenOver: Promise<void>): Operations {
  let isEnding = false;
  return {
    start: async (entries) => {
      if (isEnding) throw new FatalError('the keeper is just ending: start again in a moment');
      const starting = newStarting();
      group.starts.add(starting);
      return turns.queue(() => start(group, entries ?? [...group.wanted.values()], starting));
    },
    stop: async (keys) => {
      // Before that it does not know what there is.
      await isTakenOver;
      return turns.now(() => stop(group, keys));
    },
    end: async () => {
      isEnding = true;
      for (const starting of group.starts) starting.dropAll();
      await turns.now(() => stop(group, [...group.wanted.keys()]));
      await turns.queue(async () => undefined);
    },
  };
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
