import type { Client } from '../client.js';
import {
  clipped,
  hashOf,
  keyOf,
  numberKey,
  numberValue,
  readNumber,
  table,
  type Engine,
} from '../engine/engine.js';
import type { NewestInstants } from '../newest.js';
import type { WaitingRetries } from '../paths.js';
import { ordered } from './retry-order.js';
import type { MayHave } from '../engine/may-have.js';
import { retryPaths } from './retry-paths.js';
import { atOnce, retryPlaces, type Candidate } from './retry-places.js';
import {
  decodeEntry,
  encodeEntry,
  encodeState,
  messageHash,
  type RetryEntry,
  type RetryMessage,
  type RetryState,
} from './retry-record.js';
import { reviewer } from './retry-review.js';
import type { DueRetry, Retry, RetryList, RetryOrder } from '../store.js';

/** The retry list as its owner keeps it. */
export interface OwnedRetries extends WaitingRetries {
  readonly of: (client: Client) => RetryList;
  /** The client is gone: its leases are void. */
  readonly leave: (client: Client) => void;
}

export interface RetryParts {
  readonly engine: Engine;
  readonly now: () => number;
  /** Milliseconds after the first failure; Infinity for ever. */
  readonly retryTtl: number;
  readonly order: RetryOrder;
  readonly newest: Pick<NewestInstants, 'hasNewer'>;
  /** Which paths may have retries. */
  readonly waitingPaths: MayHave;
}

/** An entry in somebody's hand. */
interface Lease {
  readonly client: Client;
  /** Where it waits meanwhile. */
  readonly place: Buffer;
  readonly message: RetryMessage;
}

/** One answer holds about this many bytes at most, or one retry when that alone is longer. */
const answerBytes = 8 * 1024 * 1024;

/** Ids rise with the order of adding: six bytes, in text hexadecimal. */
const textOf = (id: Buffer): string => id.toString('hex');
const bytesOf = (id: string): Buffer => Buffer.from(id, 'hex');

const partyOf = (message: Pick<Retry, 'party'> | undefined): Buffer | undefined =>
  message?.party === undefined ? undefined : hashOf(message.party);

/** How many there are, and the last id given: written with every change, so it costs one entry of a batch. */
function tally(engine: Engine) {
  const key = Buffer.from([table.retryCount]);
  const stored = engine.get(key);
  let count = readNumber(stored) ?? 0;
  let last = readNumber(stored?.subarray(8)) ?? 0;
  const save = (): void => engine.put(key, Buffer.concat([numberValue(count), numberValue(last)]));
  return {
    count: (): number => count,
    next: (): Buffer => {
      count += 1;
      last += 1;
      save();
      return numberKey(last);
    },
    less: (): void => {
      count -= 1;
      save();
    },
  };
}

/**
 * Every entry is a message with its first state (written once), what has changed of that, and its place. Leases live
 * in memory: they end with their client, and all clients end with the owner. An entry keeps its place while leased, so
 * there is no moment at which a kill could lose it; and all that belongs to one change is written in one batch.
 */
export function openRetries(parts: RetryParts): OwnedRetries {
  const { engine, now, retryTtl, order, newest, waitingPaths } = parts;
  const total = tally(engine);
  const entries = ordered(engine, table.retry);
  const leases = new Map<string, Lease>();
  const gone = new WeakSet<Client>();
  const entryOf = (id: Buffer): RetryEntry | undefined => {
    const bytes = engine.get(keyOf(table.retry, id));
    return bytes && decodeEntry(bytes, engine.get(keyOf(table.retryState, id)));
  };
  const setState = (id: Buffer, state: RetryState): void =>
    engine.put(keyOf(table.retryState, id), encodeState(state));
  const byPath = retryPaths(engine, waitingPaths, (id) => {
    const entry = entryOf(id);
    if (entry !== undefined) setState(id, { ...entry.state, ended: '' });
  });
  const isOld = ({ firstFailure }: Pick<RetryState, 'firstFailure'>): boolean =>
    now() - firstFailure >= retryTtl;
  const places = retryPlaces({
    engine,
    now,
    order,
    isLeased: (id) => leases.has(textOf(id)),
    isExpired: (id) => isOld(entryOf(id)?.state ?? { firstFailure: -Infinity }),
  });

  const dueOf = (notBefore: number, firstFailure: number): number =>
    Math.min(Number.isNaN(notBefore) ? now() : notBefore, firstFailure + retryTtl);

  const remove = (id: Buffer, place: Buffer, message: RetryMessage | undefined): void => {
    places.remove(place);
    entries.remove(keyOf(table.retry, id));
    // What is removed costs as much as what is written: most have none.
    const state = keyOf(table.retryState, id);
    if (engine.get(state) !== undefined) engine.remove(state);
    if (message !== undefined) engine.remove(keyOf(table.retryTwin, messageHash(message)));
    for (const path of message?.paths ?? []) byPath.remove(hashOf(path), id, partyOf(message));
    total.less();
  };

  /** A state with another time, in its new place. */
  const move = (id: Buffer, place: Buffer, state: RetryState): void => {
    places.remove(place);
    setState(id, state);
    places.put(state.due, id);
  };

  const whole = (id: Buffer, { message, state }: RetryEntry): DueRetry => ({
    ...message,
    id: textOf(id),
    firstFailure: state.firstFailure,
    tries: state.tries,
    reason: state.reason,
    expired: isOld(state),
    superseded: state.ended === '',
    dropped: state.ended === '' ? undefined : state.ended,
  });

  /** Leases an entry; undefined for a damaged one: nobody could work on it, and it would be met again for ever. */
  const lease = (client: Client, { id, place }: Candidate): DueRetry | undefined => {
    const entry = entryOf(id);
    if (entry === undefined) {
      remove(id, place, undefined);
      return undefined;
    }
    leases.set(textOf(id), { client, place, message: entry.message });
    return whole(id, entry);
  };

  const take = async (client: Client, limit: number): Promise<readonly DueRetry[]> => {
    const taken: DueRetry[] = [];
    let bytes = 0;
    if (!(limit > 0)) return taken;
    for await (const candidate of places.due()) {
      if (gone.has(client)) break;
      if (leases.has(textOf(candidate.id))) continue;
      // Moved while the walk handed it over.
      if (engine.get(candidate.place) === undefined) continue;
      const retry = lease(client, candidate);
      if (retry === undefined) continue;
      taken.push(retry);
      bytes += retry.body.length;
      if (taken.length >= limit || bytes >= answerBytes) break;
    }
    if (gone.has(client)) for (const { id } of taken) leases.delete(id);
    return taken;
  };

  /** What is leased to this client, whose lease ends hereby. */
  const returned = (client: Client, id: string): Lease | undefined => {
    const found = leases.get(id);
    if (found?.client !== client) return undefined;
    leases.delete(id);
    return found;
  };

  /** One more failure of an entry. What was dropped meanwhile waits no longer. */
  const failedAgain = (id: Buffer, place: Buffer, notBefore: number, reason: string): void => {
    const state = entryOf(id)?.state;
    if (state === undefined) return;
    const isDropped = (state.ended ?? '') !== '';
    const due = isDropped ? atOnce : dueOf(notBefore, state.firstFailure);
    move(id, place, { ...state, due, tries: state.tries + 1, reason });
  };

  /** The entry that is this message; what stands in nobody's list any more is none. */
  const twinOf = (hash: Buffer): (RetryEntry & { readonly id: Buffer }) | undefined => {
    const id = engine.get(keyOf(table.retryTwin, hash));
    const entry = id && entryOf(id);
    return id === undefined || entry === undefined ? undefined : { ...entry, id };
  };

  const addNew = (
    { tries, reason, firstFailure, ...message }: Omit<Retry, 'id'>,
    hash: Buffer,
    notBefore: number,
  ): void => {
    const id = total.next();
    const instant = clipped(message.instant, now());
    const paths = [...new Set(message.paths)].map(hashOf);
    const party = partyOf(message);
    const ended = paths.some((path) => newest.hasNewer(path, instant, party)) ? '' : undefined;
    const state = { due: dueOf(notBefore, firstFailure), tries, firstFailure, reason, ended };
    entries.put(keyOf(table.retry, id), encodeEntry({ message: { ...message, instant }, state }));
    engine.put(keyOf(table.retryTwin, hash), id);
    places.put(state.due, id);
    if (ended === undefined) for (const path of paths) byPath.put(path, id, instant, party);
  };

  const of = (client: Client): RetryList => ({
    add: async (retry, notBefore) => {
      const hash = messageHash(retry);
      const twin = twinOf(hash);
      if (twin === undefined) addNew(retry, hash, notBefore);
      // One in hand is decided about by whoever has it.
      else if (!leases.has(textOf(twin.id)))
        failedAgain(twin.id, places.find(twin.state.due, twin.id), notBefore, retry.reason);
      await engine.written();
    },
    ended: async (message) => {
      const twin = twinOf(messageHash(message));
      if (twin === undefined || leases.has(textOf(twin.id))) return;
      remove(twin.id, places.find(twin.state.due, twin.id), twin.message);
      await engine.written();
    },
    take: async (limit) => take(client, limit),
    done: async (id) => {
      const leased = returned(client, id);
      if (leased !== undefined) remove(bytesOf(id), leased.place, leased.message);
      await engine.written();
    },
    again: async (id, { notBefore, reason }) => {
      const leased = returned(client, id);
      if (leased !== undefined) failedAgain(bytesOf(id), leased.place, notBefore, reason);
      await engine.written();
    },
    handBack: async (id) => {
      returned(client, id);
    },
    size: async () => {
      let nextDue: number | undefined;
      for await (const { id } of places.all()) {
        if (leases.has(textOf(id))) continue;
        nextDue = entryOf(id)?.state.due;
        break;
      }
      let oldest: number | undefined;
      for await (const key of entries.upwards()) {
        oldest = entryOf(key.subarray(1))?.state.firstFailure;
        break;
      }
      return { waiting: total.count(), nextDue, oldest };
    },
    review: reviewer({
      engine,
      now,
      entries,
      whole,
      change: (id, state, due) => {
        // One in hand keeps its place, and gets the time when it comes back.
        if (leases.has(textOf(id))) setState(id, state);
        else move(id, places.find(state.due, id), { ...state, due });
      },
    }),
  });

  const leave = (client: Client): void => {
    gone.add(client);
    for (const [id, leased] of [...leases]) if (leased.client === client) leases.delete(id);
  };

  return { of, leave, supersede: byPath.supersede };
}
