import { endOf, nothing, type Engine } from '../engine/engine.js';

/**
 * Keys of one table that come and go all the time, mostly at its ends. What was removed is left there until LevelDB
 * clears up, and a scan from the very end would pass all of it each time. So the ends are remembered: nothing lies
 * outside of them. A walk moves its end in to the first key that it meets, unless something farther out was put while
 * it walked.
 */
export interface Ordered {
  readonly put: (key: Buffer, value?: Buffer) => void;
  readonly remove: (key: Buffer) => void;
  /** Keys below `to`, lowest first. */
  readonly upwards: (to?: Buffer) => AsyncGenerator<Buffer>;
  /** All keys, highest first. */
  readonly downwards: () => AsyncGenerator<Buffer>;
}

type Choice = (one: Buffer, other: Buffer) => Buffer;
const lower: Choice = (one, other) => (Buffer.compare(one, other) <= 0 ? one : other);
const higher: Choice = (one, other) => (Buffer.compare(one, other) >= 0 ? one : other);

/** One end of a table; `farther` is the one of two keys that lies farther out. */
function tableEnd(outermost: Buffer, farther: Choice) {
  let end = outermost;
  const walks = new Set<{ put: Buffer | undefined }>();
  return {
    at: (): Buffer => end,
    put: (key: Buffer): void => {
      end = farther(end, key);
      for (const walk of walks) walk.put = walk.put === undefined ? key : farther(walk.put, key);
    },
    begin: () => {
      const walk: { put: Buffer | undefined } = { put: undefined };
      walks.add(walk);
      let isOutside = true;
      return {
        /** The first key that stands, or the bound of the walk when none does. */
        met: (key: Buffer): void => {
          if (isOutside) end = walk.put === undefined ? key : farther(walk.put, key);
          isOutside = false;
        },
        over: (): void => void walks.delete(walk),
      };
    },
  };
}

/** The first key behind this one: the bounds of scans are exclusive above. */
const behind = (key: Buffer): Buffer => Buffer.concat([key, Buffer.alloc(1)]);

export function ordered(engine: Engine, letter: number): Ordered {
  const first = Buffer.from([letter]);
  const last = endOf(first);
  const low = tableEnd(first, lower);
  const high = tableEnd(last, higher);
  return {
    put: (key, value = nothing) => {
      engine.put(key, value);
      low.put(key);
      high.put(behind(key));
    },
    remove: (key) => engine.remove(key),
    upwards: async function* (to = last) {
      const walk = low.begin();
      try {
        await engine.written();
        for await (const [key] of engine.scan(low.at(), to)) {
          if (engine.get(key) === undefined) continue;
          walk.met(key);
          yield key;
        }
        walk.met(to);
      } finally {
        walk.over();
      }
    },
    downwards: async function* () {
      const walk = high.begin();
      try {
        await engine.written();
        for await (const [key] of engine.scan(first, high.at(), true)) {
          if (engine.get(key) === undefined) continue;
          walk.met(behind(key));
          yield key;
        }
        walk.met(first);
      } finally {
        walk.over();
      }
    },
  };
}
