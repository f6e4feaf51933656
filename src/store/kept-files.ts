import {
  endOf,
  hashOf,
  keyOf,
  numberKey,
  numberValue,
  readNumber,
  table,
  type Engine,
} from './engine/engine.js';

/** Files that are kept for a time and then removed, whoever has put them there and however often we were started since. */
export interface KeptFiles {
  /**
   * `file`: its root, a line feed, and the path below it, as for leftovers. It is removed some time after `until`
   * (milliseconds since 1970), unless it is kept anew. Durable when it resolves.
   */
  readonly keep: (file: string, until: number) => Promise<void>;
}

/** The files as their owner keeps them. */
export interface OwnedKeptFiles extends KeptFiles {
  /** Has those removed whose time is over. */
  readonly expire: () => Promise<void>;
}

/** Of each file when its time is over, and an index by that time: an entry of it that says otherwise is an older one. */
export function openKeptFiles(
  engine: Engine,
  now: () => number,
  remove: (file: string) => Promise<void>,
): OwnedKeptFiles {
  const untilOf = (file: string): Buffer => keyOf(table.keptFile, hashOf(file));
  return {
    keep: async (file, until) => {
      engine.put(untilOf(file), numberValue(until));
      engine.put(keyOf(table.keptUntil, numberKey(until), hashOf(file)), Buffer.from(file));
      await engine.written();
    },
    expire: async () => {
      const first = Buffer.from([table.keptUntil]);
      const over: (readonly [key: Buffer, file: string])[] = [];
      for await (const [key, value] of engine.scan(first, endOf(keyOf(table.keptUntil, numberKey(now()))))) {
        over.push([key, value.toString('utf8')]);
      }
      for (const [key, file] of over) {
        const until = readNumber(engine.get(untilOf(file)));
        if (until !== undefined && until <= now()) {
          await remove(file);
          // It may have been fetched again meanwhile.
          if (readNumber(engine.get(untilOf(file))) === until) engine.remove(untilOf(file));
        }
        engine.remove(key);
      }
      await engine.written();
    },
  };
}
