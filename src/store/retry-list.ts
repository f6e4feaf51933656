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
import { dueOrder, type DueEntry } from './retry-order.js';
import type { MayHave } from './may-have.js';
import { retryPaths } from './retry-paths.js';
import { decodeMessage, decodeState, encodeMessage, encodeState, type RetryState } from './retry-record.js';
import type { DueRetry, RetryList } from './store.js';

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
  readonly newest: Pick<NewestInstants, 'hasNewer'>;
  /** Which paths may have retries. */
  readonly waitingPaths: MayHave;
}

/** One answer holds about this many bytes at most, or one retry when that alone is longer. */
const answerBytes = 8 * 1024 * 1024;

/** Ids rise with the order of adding: six bytes, in text hexadecimal. */
const idOf = (text: string): Buffer => (/^[0-9a-f]{12}$/.test(text) ? Buffer.from(text, 'hex') : nothing);
const ofId = (letter: number, id: Buffer): Buffer => keyOf(letter, id);

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
 * Every entry is a message (written once), a small state, and its place in the order of due times. Leases live in
 * memory: they end with their client, and all clients end with the owner. An entry keeps its place while leased,
 * so there is no moment at which a kill could lose it.
 */
export function openRetries({ engine, now, retryTtl, newest, waitingPaths }: RetryParts): OwnedRetries {
  const total = tally(engine);
  const order = dueOrder(engine);
  const byPath = retryPaths(engine, waitingPaths);
  const leases = new Map<string, Client>();
  const gone = new WeakSet<Client>();

  const dueOf = (notBefore: number, firstFailure: number): number =>
    Math.min(Number.isNaN(notBefore) ? now() : notBefore, firstFailure + retryTtl);

  const place = (id: Buffer, state: RetryState): void => {
    engine.put(ofId(table.retryState, id), encodeState(state));
    order.put(state.due, id);
  };

  const remove = (id: Buffer): void => {
    const state = decodeState(engine.get(ofId(table.retryState, id)));
    const message = decodeMessage(engine.get(ofId(table.retry, id)));
    if (state !== undefined) order.remove(state.due, id);
    for (const path of message?.paths ?? []) byPath.remove(hashOf(path), id);
    for (const letter of [table.retry, table.retryState, table.retrySuperseded])
      engine.remove(ofId(letter, id));
    total.less();
  };

  const read = ({ id, due }: DueEntry): DueRetry | undefined => {
    const message = decodeMessage(engine.get(ofId(table.retry, id)));
    const state = decodeState(engine.get(ofId(table.retryState, id)));
    if (message === undefined || state === undefined) {
      // A damaged record: nobody could work on it, and it would be met again for ever.
      order.remove(due, id);
      remove(id);
      return undefined;
    }
    return {
      ...message,
      id: id.toString('hex'),
      tries: state.tries,
      reason: state.reason,
      expired: now() - message.firstFailure >= retryTtl,
      superseded: engine.get(ofId(table.retrySuperseded, id)) !== undefined,
    };
  };

  const take = async (client: Client, limit: number): Promise<readonly DueRetry[]> => {
    const taken: DueRetry[] = [];
    let bytes = 0;
    if (!(limit > 0)) return taken;
    for await (const entry of order.walk(now())) {
      if (gone.has(client)) break;
      if (leases.has(entry.id.toString('hex'))) continue;
      const retry = read(entry);
      if (retry === undefined) continue;
      leases.set(retry.id, client);
      taken.push(retry);
      bytes += retry.body.length;
      if (taken.length >= limit || bytes >= answerBytes) break;
    }
    if (gone.has(client)) for (const { id } of taken) leases.delete(id);
    return taken;
  };

  /** The bytes of an id that is leased to this client, whose lease ends hereby. */
  const returned = (client: Client, id: string): Buffer | undefined => {
    if (leases.get(id) !== client) return undefined;
    leases.delete(id);
    return idOf(id);
  };

  const of = (client: Client): RetryList => ({
    add: async ({ tries, reason, ...message }, notBefore) => {
      const id = total.next();
      const instant = clipped(message.instant, now());
      engine.put(ofId(table.retry, id), encodeMessage({ ...message, instant }));
      place(id, { due: dueOf(notBefore, message.firstFailure), tries, reason });
      const paths = [...new Set(message.paths)].map(hashOf);
      if (paths.some((path) => newest.hasNewer(path, instant)))
        engine.put(ofId(table.retrySuperseded, id), nothing);
      else for (const path of paths) byPath.put(path, id, instant);
      await engine.written();
    },
    take: async (limit) => take(client, limit),
    done: async (id) => {
      const bytes = returned(client, id);
      if (bytes !== undefined) remove(bytes);
      await engine.written();
    },
    again: async (id, { notBefore, reason }) => {
      const bytes = returned(client, id);
      const state = decodeState(bytes && engine.get(ofId(table.retryState, bytes)));
      if (bytes === undefined || state === undefined) return;
      const firstFailure = decodeMessage(engine.get(ofId(table.retry, bytes)))?.firstFailure ?? now();
      order.remove(state.due, bytes);
      place(bytes, { due: dueOf(notBefore, firstFailure), tries: state.tries + 1, reason });
      await engine.written();
    },
    handBack: async (id) => {
      returned(client, id);
    },
    size: async () => {
      let nextDue: number | undefined;
      for await (const { id, due } of order.walk(Infinity)) {
        if (leases.has(id.toString('hex'))) continue;
        nextDue = due;
        break;
      }
      return { waiting: total.count(), nextDue };
    },
  });

  const leave = (client: Client): void => {
    gone.add(client);
    for (const [id, lessee] of [...leases]) if (lessee === client) leases.delete(id);
  };

  return { of, leave, supersede: byPath.supersede };
}
