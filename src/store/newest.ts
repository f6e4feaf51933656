import { keyOf, numberKey, numberValue, readNumber, table, type Engine } from './engine.js';

/** The newest instant at which each path was announced, of what was taken in hand lately. */
export interface NewestInstants {
  readonly hasNewer: (path: Buffer, instant: number) => boolean;
  readonly write: (path: Buffer, instant: number) => void;
  readonly expire: () => Promise<void>;
}

/** An instant is remembered for one to two of these, in milliseconds. */
const hour = 3_600_000;

/** Kept by the hour of writing, so that expiry drops whole hours. */
export function newestInstants(engine: Engine, now: () => number): NewestInstants {
  const at = (path: Buffer, hoursAgo: number): Buffer =>
    keyOf(table.newest, numberKey(now() / hour - hoursAgo), path);
  const of = (path: Buffer): number =>
    Math.max(...[0, 1].map((hoursAgo) => readNumber(engine.get(at(path, hoursAgo))) ?? -Infinity));
  return {
    hasNewer: (path, instant) => of(path) > instant,
    write: (path, instant) => engine.put(at(path, 0), numberValue(Math.max(instant, of(path)))),
    expire: async () =>
      engine.clear(Buffer.from([table.newest]), keyOf(table.newest, numberKey(now() / hour - 1))),
  };
}
