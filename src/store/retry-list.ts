import type { Client } from './client.js';
import {
  clipped,
  hashOf,
  keyOf,
  nothing,
  numberKey,
  numberValue,
  readNumber,
  table,
  type Engine,
} from './engine.js';
import type { NewestInstants } from './newest.js';
import type { WaitingRetries } from './paths.js';
import { ordered } from './retry-order.js';
import type { MayHave } from './may-have.js';
import { retryPaths } from './retry-paths.js';
import { atOnce, retryPlaces, type Candidate } from './retry-places.js';
import {
  decodeMessage,
  decodeState,
  encodeMessage,
  encodeState,
  messageHash,
  type RetryMessage,
  type RetryState,
} from './retry-record.js';
import { reviewer } from './retry-review.js';
import type { DueRetry, RetryList, RetryOrder } from './store.js';

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
 * Every entry is a message (written once), a small state, and its place. Leases live in memory: they end with their
 * client, and all clients end with the owner. An entry keeps its place while leased, so there is no moment at which a
 * kill could lose it; and all that belongs to one change is written in one batch.
 */
export function openRetries(parts: RetryParts): OwnedRetries {
  const { engine, now, retryTtl, order, newest, waitingPaths } = parts;
  const total = tally(engine);
  const states = ordered(engine, table.retryState);
  const byPath = retryPaths(engine, waitingPaths);
  const leases = new Map<string, Lease>();
  const gone = new WeakSet<Client>();
  const stateOf = (id: Buffer): RetryState | undefined =>
    decodeState(engine.get(keyOf(table.retryState, id)));
  const isOld = ({ firstFailure }: Pick<RetryState, 'firstFailure'>): boolean =>
    now() - firstFailure >= retryTtl;
  const places = retryPlaces({
    engine,
    now,
    order,
    isLeased: (id) => leases.has(textOf(id)),
    isExpired: (id) => isOld(stateOf(id) ?? { firstFailure: -Infinity }),
  });

  const dueOf = (notBefore: number, firstFailure: number): number =>
    Math.min(Number.isNaN(notBefore) ? now() : notBefore, firstFailure + retryTtl);
  const endedBy = (id: Buffer): Buffer | undefined => engine.get(keyOf(table.retryEnded, id));

  const put = (id: Buffer, state: RetryState): void => {
    states.put(keyOf(table.retryState, id), encodeState(state));
    places.put(state.due, id);
  };

  const remove = (id: Buffer, place: Buffer, message: RetryMessage | undefined): void => {
    places.remove(place);
    for (const letter of [table.retry, table.retryState, table.retryEnded]) engine.remove(keyOf(letter, id));
    if (message !== undefined) engine.remove(keyOf(table.retryTwin, messageHash(message)));
    for (const path of message?.paths ?? []) byPath.remove(hashOf(path), id);
    total.less();
  };

  /** A state with another time, in its new place. */
  const move = (id: Buffer, place: Buffer, state: RetryState): void => {
    places.remove(place);
    put(id, state);
  };

  const whole = (id: Buffer, message: RetryMessage, state: RetryState): DueRetry => {
    const ended = endedBy(id);
    return {
      ...message,
      id: textOf(id),
      firstFailure: state.firstFailure,
      tries: state.tries,
      reason: state.reason,
      expired: isOld(state),
      superseded: ended?.length === 0,
      dropped: ended === undefined || ended.length === 0 ? undefined : ended.toString('utf8'),
    };
  };

  /** Leases an entry; undefined for a damaged one: nobody could work on it, and it would be met again for ever. */
  const lease = (client: Client, { id, place }: Candidate): DueRetry | undefined => {
    const message = decodeMessage(engine.get(keyOf(table.retry, id)));
    const state = stateOf(id);
    if (message === undefined || state === undefined) {
      remove(id, place, message);
      return undefined;
    }
    leases.set(textOf(id), { client, place, message });
    return whole(id, message, state);
  };

  const take = async (client: Client, limit: number): Promise<readonly DueRetry[]> => {
    const taken: DueRetry[] = [];
    let bytes = 0;
    if (!(limit > 0)) return taken;
    for await (const candidate of places.due()) {
      if (gone.has(client)) break;
      if (leases.has(textOf(candidate.id))) continue;
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
    const state = stateOf(id);
    if (state === undefined) return;
    const isDropped = (endedBy(id)?.length ?? 0) > 0;
    const due = isDropped ? atOnce : dueOf(notBefore, state.firstFailure);
    move(id, place, { ...state, due, tries: state.tries + 1, reason });
  };

  /** The entry that is this message; what stands in nobody's list any more is none. */
  const twinOf = (hash: Buffer): { readonly id: Buffer; readonly state: RetryState } | undefined => {
    const id = engine.get(keyOf(table.retryTwin, hash));
    const state = id && stateOf(id);
    return id === undefined || state === undefined ? undefined : { id, state };
  };

  const of = (client: Client): RetryList => ({
    add: async ({ tries, reason, ...message }, notBefore) => {
      const hash = messageHash(message);
      const twin = twinOf(hash);
      if (twin === undefined) {
        const id = total.next();
        const instant = clipped(message.instant, now());
        engine.put(keyOf(table.retry, id), encodeMessage({ ...message, instant }));
        engine.put(keyOf(table.retryTwin, hash), id);
        const { firstFailure } = message;
        put(id, { due: dueOf(notBefore, firstFailure), tries, firstFailure, reason });
        const paths = [...new Set(message.paths)].map(hashOf);
        if (paths.some((path) => newest.hasNewer(path, instant)))
          engine.put(keyOf(table.retryEnded, id), nothing);
        else for (const path of paths) byPath.put(path, id, instant);
      } else if (!leases.has(textOf(twin.id))) {
        // One in hand is decided about by whoever has it.
        failedAgain(twin.id, places.find(twin.state.due, twin.id), notBefore, reason);
      }
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
        nextDue = stateOf(id)?.due;
        break;
      }
      let oldest: number | undefined;
      for await (const key of states.upwards()) {
        oldest = decodeState(engine.get(key))?.firstFailure;
        break;
      }
      return { waiting: total.count(), nextDue, oldest };
    },
    review: reviewer({
      engine,
      now,
      states,
      whole,
      /** Gives an entry another time. One in hand keeps its place, and gets the time when it comes back. */
      reschedule: (id, state, due) => {
        if (!leases.has(textOf(id))) move(id, places.find(state.due, id), { ...state, due });
      },
    }),
  });

  const leave = (client: Client): void => {
    gone.add(client);
    for (const [id, leased] of [...leases]) if (leased.client === client) leases.delete(id);
  };

  return { of, leave, supersede: byPath.supersede };
}
