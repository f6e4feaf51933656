import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
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
  /** Has those removed whose time is over. It is also done by itself when the time of one is over. */
  readonly expire: () => Promise<void>;
  /** Resolves when nothing is being removed any more. */
  readonly close: () => Promise<void>;
}

export interface KeptFilesParts {
  readonly engine: Engine;
  readonly now: () => number;
  readonly remove: (file: string) => Promise<void>;
  readonly logger: Logger;
}

/** Milliseconds from one removal to the next at least: what is over by then is removed together. */
const soonest = 250;
/** Whoever is to be kept for longer is thought of again later: timers do not count further than a month. */
const longest = 86_400_000;

/** Of each file when its time is over, and an index by that time: an entry of it that says otherwise is an older one. */
export function openKeptFiles({ engine, now, remove, logger }: KeptFilesParts): OwnedKeptFiles {
  const untilOf = (file: string): Buffer => keyOf(table.keptFile, hashOf(file));
  const first = Buffer.from([table.keptUntil]);
  let alarm: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined;
  let under: Promise<void> = Promise.resolve();
  let isClosed = false;

  const removeOver = async (): Promise<void> => {
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
    for await (const [key] of engine.scan(first, endOf(first))) {
      wakeAt(key.readUIntBE(1, 6));
      break;
    }
  };
  /** One after the other: none removes what another has just found to be kept anew. */
  const expire = (): Promise<void> => {
    const work = under.then(removeOver);
    under = work.catch(() => undefined);
    return work;
  };
  const wakeAt = (until: number): void => {
    if (isClosed || (alarm !== undefined && alarm.at <= until)) return;
    clearTimeout(alarm?.timer);
    const wait = Math.min(Math.max(until - now(), soonest), longest);
    const timer = setTimeout(() => {
      alarm = undefined;
      expire().catch((error: unknown) =>
        logger.error(`cannot remove what was kept long enough: ${messageOf(error)}`),
      );
    }, wait);
    timer.unref();
    alarm = { at: until, timer };
  };
  // What another process has kept before us.
  wakeAt(now());
  return {
    keep: async (file, time) => {
      // The index counts in whole milliseconds.
      const until = Math.ceil(time);
      engine.put(untilOf(file), numberValue(until));
      engine.put(keyOf(table.keptUntil, numberKey(until), hashOf(file)), Buffer.from(file));
      wakeAt(until);
      await engine.written();
    },
    expire,
    close: async () => {
      isClosed = true;
      clearTimeout(alarm?.timer);
      await under;
    },
  };
}
