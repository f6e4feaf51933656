import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError, messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import { type Signals, untilSignal } from '../process/signals.js';
import { becomeOwner } from '../store/owner.js';
import type { Handlers } from '../store/server.js';
import { type Entry, keyOf, startOrder, stopOrder } from './entry.js';
import { type Fleet, openFleet } from './fleet.js';
import { groupStatus } from './group-status.js';
import { type Loners, openLoners } from './loners.js';
import type { Spawns } from './spawns.js';
import { readWanted, writeWanted } from './wanted.js';
import type { GroupStatus, Result, StartRequest, StopRequest } from './words.js';

/*
 * What runs all configurations of a user. It opens no broker and reads no configuration: it knows which ones shall
 * run, gives each its process, and keeps these processes. Who the keeper is, is decided by the lock of its directory,
 * as for the state of a configuration. It may die at any moment: what it keeps goes on, and the next keeper finds it.
 */

export interface KeeperOptions {
  /** See places.ts. */
  readonly directory: string;
  readonly wanted: string;
  readonly mode: 'daemon' | 'foreground';
  /** Start nothing that it is not asked for. */
  readonly fresh: boolean;
  readonly processors: number;
  readonly spawns: Spawns;
  readonly logger: Logger;
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

/** Milliseconds that those who are stopped first may take before the next are told to. */
const STAGGER = 400;

interface Group {
  readonly wanted: Map<string, Entry>;
  readonly fleet: Fleet;
  readonly loners: Loners;
  /** Why one that is wanted does not work. */
  readonly troubles: Map<string, string>;
  readonly save: () => Promise<void>;
  readonly over: AbortController;
}

/** Keeps until nothing is wanted any more, or it is told to end. Answers false when there is a keeper already. */
export async function keep(options: KeeperOptions): Promise<boolean> {
  const { directory, logger, mode } = options;
  const started = Date.now();
  const over = new AbortController();
  const operations = oneAtATime();
  const group = openGroup(options, over);
  const status = (): Promise<GroupStatus> =>
    groupStatus({ ...group, wanted: [...group.wanted.values()], started, mode });
  const handlers: Handlers = {
    start: (body) => operations(() => start(group, (body as StartRequest).entries)),
    stop: (body) => operations(() => stop(group, (body as StopRequest).keys)),
    sanity: () => operations(() => start(group, [...group.wanted.values()])),
    status,
    gone: async (body) => {
      const { key, reason } = body as { readonly key: string; readonly reason: string };
      return operations(async () => {
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
  try {
    logger.info(`keeper: process ${process.pid}`);
    const missing = await operations(() => takeOver(group, options));
    // Nobody waits for these, and answers are due meanwhile.
    if (missing.length > 0) void operations(() => start(group, missing));
    // Whoever was kept has been stopped since: nobody else would end this.
    if (!options.fresh && group.wanted.size === 0) await operations(() => clear(group, []));
    options.ready({ start: (entries) => operations(() => start(group, entries)), status });
    await untilOver(signals, over.signal);
    logger.info('stopping');
    options.stopping?.();
    await operations(() => stop(group, [...group.wanted.keys()]));
  } finally {
    signals.cancel();
    // Whoever asked for the end still reads the answer.
    await owner.close().catch((thrown: unknown) => logger.error(messageOf(thrown)));
    logger.info('keeper: stopped');
  }
  return true;
}

function openGroup(options: KeeperOptions, over: AbortController): Group {
  const { directory, logger, spawns, processors, wanted: file } = options;
  const wanted = new Map<string, Entry>();
  const troubles = new Map<string, string>();
  const told = (results: readonly Result[]): void => {
    for (const { key, did, reason } of results) {
      if (did === 'failed') troubles.set(key, reason);
      else troubles.delete(key);
    }
  };
  const fleet = openFleet({ directory, processors, spawns, logger, told });
  const group: Group = {
    wanted,
    troubles,
    fleet,
    loners: openLoners({ spawns, logger, gone: (key) => void letGo(group, [key]) }),
    save: async () => {
      const all = [...wanted.values()].map((entry) => ({ ...entry, carrier: fleet.numberOf(keyOf(entry)) }));
      // A full disk keeps nobody from being stopped; only the next keeper would not know.
      await writeWanted(file, all).catch((thrown: unknown) =>
        logger.error(`cannot write ${file}: ${messageOf(thrown)}; a keeper after this one would not know`),
      );
    },
    over,
  };
  return group;
}

const untilOver = (signals: Signals, over: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const any = AbortSignal.any([signals.stop, over]);
    if (any.aborted) resolve();
    else any.addEventListener('abort', () => resolve(), { once: true });
  });

/** One after the other, in the order in which they were asked for. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}

/**
 * Finds what an earlier keeper has left at work; answers what is to be started again. Everything keeps the place that it
 * had: a process that is just coming up may have begun only a part of what it was told.
 */
async function takeOver(
  group: Group,
  { wanted: file, fresh, logger }: KeeperOptions,
): Promise<readonly Entry[]> {
  const before = new Map((await readWanted(file)).map((entry) => [keyOf(entry), entry]));
  const living = await group.fleet.adopt();
  for (const key of living.flatMap(({ ended }) => ended)) before.delete(key);
  for (const [key, { carrier, ...entry }] of before) {
    const isThere =
      entry.place === 'own'
        ? await group.loners.adopt(entry)
        : living.some(({ number }) => number === carrier);
    if (fresh && !isThere) continue;
    group.wanted.set(key, entry);
    if (carrier !== undefined) group.fleet.placed(entry, carrier);
  }
  for (const { number, carried } of living)
    await group.fleet.expel(
      number,
      carried.filter((key) => group.fleet.numberOf(key) !== number),
    );
  if (group.wanted.size > 0) logger.info(`keeper: ${group.wanted.size} configurations are wanted`);
  await group.save();
  return [...group.wanted.values()];
}

/** Starts what does not run, in an order in which no first message is lost. */
async function start(group: Group, asked: readonly Entry[]): Promise<readonly Result[]> {
  const { wanted, fleet, loners } = group;
  const entries: Entry[] = [];
  for (const entry of asked) entries.push(await inPlace(group, entry));
  for (const entry of entries) wanted.set(keyOf(entry), entry);
  const shared = [...wanted.values()].filter(({ place }) => place === 'shared').length;
  for (const entry of entries) if (entry.place === 'shared') fleet.place(entry, shared);
  await group.save();
  await fleet.launch();
  const results: Result[] = [];
  for (const some of startOrder(entries)) {
    const ofRank = await Promise.all([
      fleet.run(some.filter(({ place }) => place === 'shared')),
      ...some.filter(({ place }) => place === 'own').map(async (entry) => [await loners.start(entry)]),
    ]);
    results.push(...ofRank.flat());
  }
  for (const { key, did, reason } of results) {
    if (did === 'failed') group.troubles.set(key, reason);
    else group.troubles.delete(key);
  }
  return results;
}

/** What runs keeps its place, whatever its configuration says by now: two places would run it twice. */
async function inPlace({ wanted, fleet, loners }: Group, entry: Entry): Promise<Entry> {
  const key = keyOf(entry);
  const known = wanted.get(key);
  if (known === undefined || known.place === entry.place) return entry;
  const isShared = known.place === 'shared';
  if (isShared ? await fleet.carries(key) : loners.runs(known)) return { ...entry, place: known.place };
  await (isShared ? fleet.end([key]) : loners.stop(known));
  return entry;
}

/** Stops, first who starts or posts, then who consumes; the later ones do not wait long for the earlier. */
async function stop(group: Group, keys: readonly string[]): Promise<readonly Result[]> {
  const { wanted, fleet, loners } = group;
  const entries = keys.flatMap((key) => wanted.get(key) ?? []);
  for (const entry of entries) wanted.delete(keyOf(entry));
  // Before anything ends: a keeper that comes now must not bring it back.
  await group.save();
  const works: Promise<readonly Result[]>[] = [];
  for (const some of stopOrder(entries)) {
    const phase = [
      fleet.end(some.filter(({ place }) => place === 'shared').map(keyOf)),
      ...some.filter(({ place }) => place === 'own').map(async (entry) => [await loners.stop(entry)]),
    ];
    works.push(...phase);
    await Promise.race([Promise.all(phase), sleep(STAGGER)]);
  }
  const results = (await Promise.all(works)).flat();
  await clear(group, keys);
  return results;
}

/** Configurations that have ended by themselves, or by somebody who did not ask us. */
async function letGo(group: Group, keys: readonly string[]): Promise<void> {
  for (const key of keys) group.wanted.delete(key);
  await group.save();
  await group.fleet.end(keys);
  await clear(group, keys);
}

async function clear({ troubles, fleet, wanted, over }: Group, keys: readonly string[]): Promise<void> {
  for (const key of keys) troubles.delete(key);
  await fleet.shrink();
  if (wanted.size === 0) over.abort(new FatalError('nothing is wanted any more'));
}
