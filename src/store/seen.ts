import type { Client, Waiter } from './client.js';
import { waiterOf } from './client.js';
import {
  endOf,
  hashOf,
  keyOf,
  namedKey,
  nameOf,
  nothing,
  numberKey,
  numberValue,
  readNumber,
  table,
  type Engine,
} from './engine/engine.js';
import type { Claim, Seen } from './store.js';

/** The duplicates as their owner keeps them: the same questions, with the client that asks. */
export interface OwnedSeen {
  readonly of: (client: Client) => Seen;
  /** The client is gone: its claims go to the next in line. */
  readonly leave: (client: Client, reason: Error) => void;
  /** Drop what nobody remembers any more. */
  readonly expire: () => Promise<void>;
}

/** Longest period a duplicate is remembered: a year, in milliseconds. */
const longest = 366 * 86_400_000;
/** A hit writes the new time only when it moves by this part of the period, or by a second when that is less. */
const grain = 100;

interface Claimed {
  readonly client: Client;
  readonly waiters: Waiter<Claim>[];
}

/**
 * Where committed keys are. Half the lifetime is rounded up to a power of two milliseconds (its *class*: the
 * exponent, one byte), and time is cut into slots of that length. A key stands in the slot in which it expires,
 * so a look-up asks for three slots, and expiry drops whole slots in one range.
 */
function ledger(engine: Engine, now: () => number) {
  const classes = new Set<number>();
  const slotOf = (lifetime: number, time: number): Buffer => numberKey(time / 2 ** lifetime);
  const place = (letter: number, lifetime: number, time: number, ...rest: readonly Buffer[]): Buffer =>
    keyOf(letter, Buffer.from([lifetime]), slotOf(lifetime, time), ...rest);
  const slotsAhead = (lifetime: number): readonly number[] => [0, 1, 2].map((n) => now() + n * 2 ** lifetime);

  const find = (
    key: Buffer,
  ): { readonly at: Buffer; readonly expiry: number; readonly path: Buffer } | undefined => {
    for (const lifetime of classes) {
      for (const time of slotsAhead(lifetime)) {
        const at = place(table.seen, lifetime, time, key);
        const value = engine.get(at);
        const expiry = readNumber(value);
        if (value !== undefined && expiry !== undefined && expiry > now())
          return { at, expiry, path: value.subarray(8) };
      }
    }
    return undefined;
  };

  const write = (key: Buffer, ttl: number, path: Buffer): Buffer => {
    const lifetime = Math.max(10, Math.ceil(Math.log2(ttl / 2)));
    if (!classes.has(lifetime)) {
      classes.add(lifetime);
      engine.put(keyOf(table.lifetime, Buffer.from([lifetime])), nothing);
    }
    const expiry = now() + ttl;
    const at = place(table.seen, lifetime, expiry, key);
    engine.put(at, Buffer.concat([numberValue(expiry), path]));
    if (path.length > 0) engine.put(place(table.seenOfPath, lifetime, expiry, path, key), nothing);
    return at;
  };

  /** What was committed for a path: where the path names it, where it is, and its key. */
  async function* keysOf(
    path: Buffer,
  ): AsyncGenerator<{ readonly at: Buffer; readonly place: Buffer; readonly key: Buffer }> {
    for (const lifetime of classes) {
      for (const time of slotsAhead(lifetime)) {
        const prefix = place(table.seenOfPath, lifetime, time, path);
        for await (const [at] of engine.scan(prefix, endOf(prefix))) {
          const key = at.subarray(prefix.length);
          yield { at, place: place(table.seen, lifetime, time, key), key };
        }
      }
    }
  }

  const knowsOnly = async (path: Buffer, wanted: Buffer): Promise<boolean> => {
    for await (const { key } of keysOf(path)) if (!key.equals(wanted)) return false;
    return true;
  };

  return {
    load: async (): Promise<void> => {
      const all = Buffer.from([table.lifetime]);
      for await (const [key] of engine.scan(all, endOf(all))) classes.add(key[1] ?? 0);
    },
    write,
    /** Whether the key is remembered; a hit starts its period afresh. */
    hit: (key: Buffer, ttl: number): boolean => {
      const found = find(key);
      if (found === undefined) return false;
      if (ttl > 0 && now() + ttl - found.expiry > Math.min(1000, ttl / grain)) {
        const moved = write(key, ttl, Buffer.from(found.path));
        if (!moved.equals(found.at)) engine.remove(found.at);
      }
      return true;
    },
    forget: async (path: Buffer, unless: Buffer | undefined): Promise<void> => {
      await engine.written();
      if (unless !== undefined && (await knowsOnly(path, unless))) return;
      for await (const { at, place } of keysOf(path)) {
        engine.remove(at);
        engine.remove(place);
      }
      await engine.written();
    },
    count: async (): Promise<number> => {
      await engine.written();
      let count = 0;
      for (const lifetime of classes) {
        const all = keyOf(table.seen, Buffer.from([lifetime]));
        for await (const [, value] of engine.scan(place(table.seen, lifetime, now()), endOf(all)))
          if ((readNumber(value) ?? 0) > now()) count += 1;
      }
      return count;
    },
    expire: async (): Promise<void> => {
      for (const lifetime of classes) {
        for (const letter of [table.seen, table.seenOfPath]) {
          const first = keyOf(letter, Buffer.from([lifetime]));
          await engine.clear(first, place(letter, lifetime, now()));
        }
      }
    },
  };
}

const lifetimeOf = (ttl: number): number => (ttl > 0 ? Math.min(ttl, longest) : 0);

/**
 * Claims live in memory: they end with their client, and all clients end with the owner. Commits are on disk,
 * and in memory there is nothing of them, however many they are.
 */
export async function openSeen(engine: Engine, now: () => number): Promise<OwnedSeen> {
  const committed = ledger(engine, now);
  await committed.load();
  const claims = new Map<string, Claimed>();

  /** The claim on a key has ended: the key is known now, or the first in line has it. */
  const pass = (name: string, waiters: readonly Waiter<Claim>[]): void => {
    claims.delete(name);
    const [first, ...others] = waiters;
    if (first === undefined) return;
    if (committed.hit(namedKey(name), 0)) {
      for (const waiter of waiters) waiter.answer.resolve('known');
      return;
    }
    claims.set(name, { client: first.client, waiters: others });
    first.answer.resolve('ours');
  };

  const wait = (client: Client, claimed: Claimed, signal: AbortSignal | undefined): Promise<Claim> => {
    const waiter: Waiter<Claim> = waiterOf<Claim>(client, signal, () => {
      for (const { waiters } of claims.values()) {
        const at = waiters.indexOf(waiter);
        if (at >= 0) waiters.splice(at, 1);
      }
    });
    claimed.waiters.push(waiter);
    return waiter.answer.promise;
  };

  const of = (client: Client): Seen => ({
    claim: async (key, ttl, signal) => {
      signal?.throwIfAborted();
      const hashed = hashOf(key);
      const name = nameOf(hashed);
      const claimed = claims.get(name);
      if (claimed !== undefined) return wait(client, claimed, signal);
      if (committed.hit(hashed, lifetimeOf(ttl))) {
        // Hits write too: without waiting, a flood of duplicates would outrun the disk and pile up in memory.
        await engine.written();
        return 'known';
      }
      claims.set(name, { client, waiters: [] });
      return 'ours';
    },
    commit: async (key, ttl, path) => {
      const hashed = hashOf(key);
      const lifetime = lifetimeOf(ttl);
      if (lifetime > 0) committed.write(hashed, lifetime, path === undefined ? nothing : hashOf(path));
      await engine.written();
      const name = nameOf(hashed);
      const claimed = claims.get(name);
      if (claimed?.client === client) pass(name, claimed.waiters);
    },
    release: async (key) => {
      const name = nameOf(hashOf(key));
      const claimed = claims.get(name);
      if (claimed?.client === client) pass(name, claimed.waiters);
    },
    forgetPath: async (path, unless) =>
      committed.forget(hashOf(path), unless === undefined ? undefined : hashOf(unless)),
    count: committed.count,
  });

  const leave = (client: Client, reason: Error): void => {
    for (const [name, claimed] of [...claims]) {
      const staying = claimed.waiters.filter((waiter) => waiter.client !== client);
      for (const waiter of claimed.waiters) if (waiter.client === client) waiter.answer.reject(reason);
      claimed.waiters.splice(0, claimed.waiters.length, ...staying);
      if (claimed.client === client) pass(name, claimed.waiters);
    }
  };

  return { of, leave, expire: committed.expire };
}
