import { keyOf, numberKey, numberValue, readNumber, table, type Engine } from './engine.js';
import { knownInFull, type MayHave, mayHaveOf, unknown } from './may-have.js';

/** The newest instant at which each path was announced, of what was taken in hand lately. */
export interface NewestInstants {
  readonly hasNewer: (path: Buffer, instant: number) => boolean;
  readonly write: (path: Buffer, instant: number) => void;
  readonly expire: () => Promise<void>;
}

/** An instant is remembered for one to two of these, in milliseconds. */
const hour = 3_600_000;

/** Kept by the hour of writing, so that expiry drops whole hours. */
export async function newestInstants(engine: Engine, now: () => number): Promise<NewestInstants> {
  const thisHour = (): number => Math.floor(now() / hour);
  const at = (path: Buffer, when: number): Buffer => keyOf(table.newest, numberKey(when), path);
  const opened = thisHour();
  const written = new Map<number, MayHave>();
  for (const when of [opened - 1, opened])
    written.set(when, await mayHaveOf(engine, keyOf(table.newest, numberKey(when))));

  const writtenIn = (when: number): MayHave => {
    const known = written.get(when);
    if (known !== undefined) return known;
    // Nothing was written in an hour that had not begun when we came; one before us may hold anything.
    const made = when > opened ? knownInFull() : unknown;
    written.set(when, made);
    return made;
  };
  const ofHour = (path: Buffer, when: number): number =>
    writtenIn(when).mayHave(path) ? (readNumber(engine.get(at(path, when))) ?? -Infinity) : -Infinity;
  const of = (path: Buffer): number => Math.max(ofHour(path, thisHour()), ofHour(path, thisHour() - 1));

  return {
    hasNewer: (path, instant) => of(path) > instant,
    write: (path, instant) => {
      const value = numberValue(Math.max(instant, of(path)));
      const when = thisHour();
      writtenIn(when).note(path);
      engine.put(at(path, when), value);
    },
    expire: async () => {
      const before = thisHour() - 1;
      for (const when of written.keys()) if (when < before) written.delete(when);
      await engine.clear(Buffer.from([table.newest]), keyOf(table.newest, numberKey(before)));
    },
  };
}
