import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { findOwner } from '../../store/owner/owner-file.js';
import { type Entry, keyOf, startOrder, stopOrder } from '../entry.js';
import { type Fleet, openFleet } from './fleet.js';
import { type Loners, openLoners } from './loners.js';
import type { Spawns } from '../kept/spawns.js';
import { type Starting } from './starting.js';
import { type Wanted, writeWanted } from '../wanted.js';
import type { Result } from '../words.js';

/*
 * How the keeper starts and stops configurations. One start comes after the other; a stop waits for none: it tells
 * those that are at work what they are to leave out, and ends what they have begun.
 */

export interface GroupOptions {
  readonly directory: string;
  /** Path of the file of what is wanted. */
  readonly wanted: string;
  readonly processors: number;
  readonly spawns: Spawns;
  readonly logger: Logger;
}

export interface Group {
  readonly wanted: Map<string, Entry>;
  /** Not wanted any more, and of those with processes of their own, which one was to end. */
  readonly leaving: Map<string, Wanted>;
  readonly starts: Set<Starting>;
  readonly fleet: Fleet;
  readonly loners: Loners;
  /** Why one that is wanted does not work. */
  readonly troubles: Map<string, string>;
  readonly save: () => Promise<void>;
  readonly over: AbortController;
}

/** Milliseconds that those who are stopped first may take before the next are told to. */
const STAGGER = 400;
/**
 * Milliseconds that a start waits in all for those that have to meet their brokers first. After that all the others are
 * begun as well, without waiting: where no broker answers, a start, and whoever waits for it, is done nevertheless.
 */
const PATIENCE = 15_000;

export function openGroup(options: GroupOptions, over: AbortController): Group {
  const { directory, logger, spawns, processors, wanted: file } = options;
  const wanted = new Map<string, Entry>();
  const leaving = new Map<string, Wanted>();
  const troubles = new Map<string, string>();
  let saved: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    const all = [...wanted.values()].map((entry) => ({ ...entry, carrier: fleet.numberOf(keyOf(entry)) }));
    // A full disk keeps nobody from being stopped; only the next keeper would not know.
    await writeWanted(file, [...leaving.values(), ...all]).catch((thrown: unknown) =>
      logger.error(`cannot write ${file}: ${messageOf(thrown)}; a keeper after this one would not know`),
    );
  };
  // Each after the one before, with what holds by then: the last one says how it is.
  const save = (): Promise<void> => (saved = saved.then(write));
  const fleet = openFleet({
    directory,
    processors,
    spawns,
    logger,
    told: (results) => note(troubles, results),
    moved: save,
  });
  const group: Group = {
    wanted,
    leaving,
    starts: new Set(),
    troubles,
    fleet,
    loners: openLoners({ spawns, logger, gone: (key) => void letGo(group, [key]) }),
    save,
    over,
  };
  return group;
}

function note(troubles: Map<string, string>, results: readonly Result[]): void {
  for (const { key, did, reason } of results) {
    if (did === 'failed') troubles.set(key, reason);
    else troubles.delete(key);
  }
}

/** Starts what does not run, in an order in which no first message is lost. */
export async function start(
  group: Group,
  asked: readonly Entry[],
  starting: Starting,
): Promise<readonly Result[]> {
  try {
    const results = starting.outcome(asked, await startRanks(group, asked, starting));
    note(group.troubles, results);
    return results;
  } finally {
    group.starts.delete(starting);
    endWhenIdle(group);
  }
}

async function startRanks(
  group: Group,
  asked: readonly Entry[],
  starting: Starting,
): Promise<readonly Result[]> {
  const { wanted, fleet, loners } = group;
  const placed: Entry[] = [];
  for (const entry of starting.left(asked)) placed.push(await inPlace(group, entry));
  const entries = starting.left(placed);
  for (const entry of entries) wanted.set(keyOf(entry), entry);
  const shared = [...wanted.values()].filter(({ place }) => place === 'shared').length;
  for (const entry of entries) if (entry.place === 'shared') fleet.place(entry, shared);
  await group.save();
  await fleet.launch();
  const deadline = Date.now() + PATIENCE;
  const results: Result[] = [];
  for (const rank of startOrder(entries)) {
    const some = starting.left(rank);
    const patience = Math.max(0, deadline - Date.now());
    const ofRank = await Promise.all([
      fleet.run(
        some.filter(({ place }) => place === 'shared'),
        patience,
      ),
      ...some
        .filter(({ place }) => place === 'own')
        .map(async (entry) => [await loners.start(entry, patience)]),
    ]);
    results.push(...ofRank.flat());
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
export async function stop(group: Group, keys: readonly string[]): Promise<readonly Result[]> {
  for (const starting of group.starts) starting.drop(keys);
  const entries = keys.flatMap((key) => group.wanted.get(key) ?? []);
  if (entries.length === 0) return [];
  for (const entry of entries) group.wanted.delete(keyOf(entry));
  await rememberLeaving(group, entries);
  // Before anything ends: a keeper that comes now must not bring it back.
  await group.save();
  const results = await endRanks(group, entries);
  await clear(group, entries.map(keyOf));
  return results;
}

/** Those with processes of their own: which process is to end. */
async function rememberLeaving({ leaving }: Group, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries.filter(({ place }) => place === 'own')) {
    const owner = await findOwner(entry.state);
    if (owner !== undefined) leaving.set(keyOf(entry), { ...entry, leaving: owner.token });
  }
}

async function endRanks(group: Group, entries: readonly Entry[]): Promise<readonly Result[]> {
  const { fleet, loners, leaving } = group;
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
  const wereLeft = entries.map(keyOf).filter((key) => leaving.delete(key));
  if (wereLeft.length > 0) await group.save();
  return results;
}

/** Ends what a keeper before us was ending when it died: this very process of each, not one that came later. */
export async function endLeaving(group: Group): Promise<void> {
  const entries: Entry[] = [];
  for (const [key, { leaving: token, ...entry }] of [...group.leaving]) {
    if ((await findOwner(entry.state))?.token === token) entries.push(entry);
    else group.leaving.delete(key);
  }
  await endRanks(group, entries);
}

/** Configurations that have ended by themselves, or by somebody who did not ask us. */
export async function letGo(group: Group, keys: readonly string[]): Promise<void> {
  for (const key of keys) group.wanted.delete(key);
  await group.save();
  await group.fleet.end(keys);
  await clear(group, keys);
}

async function clear(group: Group, keys: readonly string[]): Promise<void> {
  for (const key of keys) group.troubles.delete(key);
  await group.fleet.shrink();
  endWhenIdle(group);
}

/** With nothing to keep and nothing to begin there is no need of a keeper. */
export function endWhenIdle({ wanted, starts, over }: Group): void {
  if (wanted.size === 0 && starts.size === 0) over.abort(new FatalError('nothing is wanted any more'));
}
