import { keyOf, numberKey, table, type Engine } from '../engine/engine.js';
import { ordered } from './retry-order.js';
import type { RetryOrder } from '../store.js';

/** An entry that may be handed out, and the key under which it waits. */
export interface Candidate {
  readonly id: Buffer;
  readonly place: Buffer;
}

/** Where retries wait until they are handed out. Every entry has exactly one place at any time. */
export interface RetryPlaces {
  readonly put: (due: number, id: Buffer) => void;
  readonly remove: (place: Buffer) => void;
  /** The place of an entry that was put with this due time. */
  readonly find: (due: number, id: Buffer) => Buffer;
  /** Those that are due, in the order in which they are handed out. */
  readonly due: () => AsyncGenerator<Candidate>;
  /** All, those first that are due soonest. */
  readonly all: () => AsyncGenerator<Candidate>;
}

/** Entries due at this time are handed out before all others: their end is decided. */
export const atOnce = 0;

const timeBytes = 6;
/** Entries that one look sorts at most, so that it never takes long. */
const sortedAtOnce = 2000;

export interface PlacesParts {
  readonly engine: Engine;
  readonly now: () => number;
  readonly order: RetryOrder;
  /** Whether somebody has it in hand. */
  readonly isLeased: (id: Buffer) => boolean;
  /** Whether it is older than it may become. */
  readonly isExpired: (id: Buffer) => boolean;
}

/**
 * Entries wait in the order of their due times. Oldest first, they are handed out from there. Newest first, those that
 * have become due are first moved over to a table by id, and ids rise with the order of adding: the newest are at its
 * upper end, the oldest at its lower one, where those that expire are found however many newer ones there are.
 */
export function retryPlaces({ engine, now, order, isLeased, isExpired }: PlacesParts): RetryPlaces {
  const byTime = ordered(engine, table.retryDue);
  const ready = ordered(engine, table.retryReady);
  const timeKey = (due: number, id: Buffer): Buffer => keyOf(table.retryDue, numberKey(due), id);
  const readyKey = (id: Buffer): Buffer => keyOf(table.retryReady, id);
  const timed = (place: Buffer): Candidate => ({ place, id: place.subarray(1 + timeBytes) });
  const sorted = (place: Buffer): Candidate => ({ place, id: place.subarray(1) });
  const until = (time: number): Buffer => keyOf(table.retryDue, numberKey(time + 1));
  /** There may be some by id, also from a time when the order was another one. */
  let mayBeReady = true;

  async function* readyUpwards(): AsyncGenerator<Candidate> {
    if (!mayBeReady) return;
    let isEmpty = true;
    for await (const place of ready.upwards()) {
      isEmpty = false;
      yield sorted(place);
    }
    if (isEmpty && order === 'oldest') mayBeReady = false;
  }

  async function* oldestFirst(): AsyncGenerator<Candidate> {
    yield* readyUpwards();
    for await (const place of byTime.upwards(until(now()))) yield timed(place);
  }

  /** Moves what has become due over to the table by id. */
  async function sortDue(): Promise<void> {
    let moved = 0;
    for await (const place of byTime.upwards(until(now()))) {
      const { id } = timed(place);
      // In hand, or moved by somebody else while the walk handed it over.
      if (isLeased(id) || engine.get(place) === undefined) continue;
      byTime.remove(place);
      ready.put(readyKey(id));
      moved += 1;
      if (moved >= sortedAtOnce) return;
    }
  }

  async function* newestFirst(): AsyncGenerator<Candidate> {
    for await (const place of byTime.upwards(until(atOnce))) yield timed(place);
    await sortDue();
    for await (const candidate of readyUpwards()) {
      if (isLeased(candidate.id)) continue;
      if (!isExpired(candidate.id)) break;
      yield candidate;
    }
    for await (const place of ready.downwards()) yield sorted(place);
  }

  return {
    put: (due, id) => byTime.put(timeKey(due, id)),
    remove: (place) => engine.remove(place),
    find: (due, id) => {
      const place = timeKey(due, id);
      return engine.get(place) === undefined ? readyKey(id) : place;
    },
    due: order === 'newest' ? newestFirst : oldestFirst,
    all: async function* () {
      yield* readyUpwards();
      for await (const place of byTime.upwards()) yield timed(place);
    },
  };
}
