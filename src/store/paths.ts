import { RetryableError } from '../errors.js';
import type { Client, Waiter } from './client.js';
import { waiterOf } from './client.js';
import { clipped, endOf, hashOf, keyOf, nameOf, numberKey, table, type Engine } from './engine.js';
import type { NewestInstants } from './newest.js';
import type { Entry, Paths } from './store.js';

/** The paths as their owner keeps them. */
export interface OwnedPaths {
  readonly of: (client: Client) => Paths;
  /** The client is gone: what it would have left behind is reported, then its paths go to the next in line. */
  readonly leave: (client: Client, reason: Error) => Promise<void>;
}

/** What the paths ask of the retry list: they are told apart by hash. */
export interface WaitingRetries {
  /** Marks older ones of the paths; answers true, and marks none, when a newer one waits. */
  readonly supersede: (paths: readonly Buffer[], instant: number) => Promise<boolean>;
}

export interface PathsParts {
  readonly engine: Engine;
  readonly now: () => number;
  /** Told what a dead client left behind; never rejects. */
  readonly abandon: (leftover: string) => Promise<void>;
  readonly newest: NewestInstants;
  readonly retries: WaitingRetries;
}

interface Hold extends Waiter<undefined> {
  readonly paths: readonly Buffer[];
  readonly instant: number;
  /** Key and text of what would be left behind, once it is written. */
  leftover: { readonly key: Buffer; readonly text: string } | undefined;
  /** Its client is gone. */
  ended: Error | undefined;
}

/**
 * Holds wait in one line per path. A hold joins the lines of all its paths in one turn, so any two holds stand in
 * the same order in every line they share, and it has its turn when it is first in all: nobody can wait in a circle.
 */
function lines() {
  const byPath = new Map<string, Hold[]>();
  const isFirst = (hold: Hold): boolean => hold.paths.every((path) => byPath.get(nameOf(path))?.[0] === hold);
  return {
    join: (hold: Hold): void => {
      for (const path of hold.paths) {
        const line = byPath.get(nameOf(path));
        if (line === undefined) byPath.set(nameOf(path), [hold]);
        else line.push(hold);
      }
      if (isFirst(hold)) hold.answer.resolve(undefined);
    },
    quit: (hold: Hold): void => {
      for (const path of hold.paths) {
        const line = byPath.get(nameOf(path)) ?? [];
        const at = line.indexOf(hold);
        if (at >= 0) line.splice(at, 1);
        if (line.length === 0) byPath.delete(nameOf(path));
      }
      for (const path of hold.paths) {
        const next = byPath.get(nameOf(path))?.[0];
        if (next !== undefined && isFirst(next)) next.answer.resolve(undefined);
      }
    },
    firstOf: (path: Buffer): Hold | undefined => byPath.get(nameOf(path))?.[0],
    isFirst,
    ofClient: (client: Client): ReadonlySet<Hold> =>
      new Set([...byPath.values()].flat().filter((hold) => hold.client === client)),
  };
}

/** The instant speaks of the first path alone; the others are only held. */
const announcedOf = (paths: readonly Buffer[]): readonly Buffer[] => paths.slice(0, 1);

function checkAlive({ ended }: Hold): void {
  if (ended !== undefined) throw ended;
}

/** Reports and forgets what items of an earlier owner left behind. */
async function reportLeftovers(engine: Engine, abandon: (leftover: string) => Promise<void>): Promise<void> {
  const all = Buffer.from([table.leftover]);
  for await (const [key, value] of engine.scan(all, endOf(all))) {
    await abandon(value.toString('utf8'));
    engine.remove(key);
  }
  await engine.written();
}

export async function openPaths({ engine, now, abandon, newest, retries }: PathsParts): Promise<OwnedPaths> {
  const waiting = lines();
  await reportLeftovers(engine, abandon);
  let lastLeftover = 0;

  const end = (hold: Hold): void => {
    if (hold.leftover !== undefined) engine.remove(hold.leftover.key);
    hold.leftover = undefined;
    waiting.quit(hold);
  };

  /** It is the turn of this hold: let it in, unless it is too old. */
  const letIn = async (hold: Hold, leftover: string | undefined): Promise<Entry> => {
    const announced = announcedOf(hold.paths);
    const isOld = (): boolean => announced.some((path) => newest.hasNewer(path, hold.instant));
    if (isOld() || (await retries.supersede(announced, hold.instant))) return 'superseded';
    checkAlive(hold);
    for (const path of announced) newest.write(path, hold.instant);
    if (leftover !== undefined) {
      lastLeftover += 1;
      hold.leftover = { key: keyOf(table.leftover, numberKey(lastLeftover)), text: leftover };
      engine.put(hold.leftover.key, Buffer.from(leftover));
    }
    await engine.written();
    checkAlive(hold);
    return 'entered';
  };

  const of = (client: Client): Paths => ({
    enter: async (paths, instant, leftover, signal) => {
      signal?.throwIfAborted();
      const hold: Hold = {
        ...waiterOf<undefined>(client, signal, () => waiting.quit(hold)),
        paths: [...new Set(paths)].map(hashOf),
        instant: clipped(instant, now()),
        leftover: undefined,
        ended: undefined,
      };
      if (announcedOf(hold.paths).some((path) => newest.hasNewer(path, hold.instant))) return 'superseded';
      waiting.join(hold);
      await hold.answer.promise;
      try {
        const entry = await letIn(hold, leftover);
        signal?.throwIfAborted();
        if (entry === 'superseded') end(hold);
        return entry;
      } catch (error) {
        // One whose client is gone ends when its leftover is cleared away.
        if (hold.ended === undefined) end(hold);
        throw error;
      }
    },
    confirm: async (paths) => {
      for (const path of paths) {
        const hold = waiting.firstOf(hashOf(path));
        if (hold?.client !== client || !waiting.isFirst(hold)) {
          throw new RetryableError(`${path} is not ours any more: somebody else works on it`);
        }
      }
    },
    leave: async (paths) => {
      for (const path of paths) {
        const hold = waiting.firstOf(hashOf(path));
        if (hold?.client === client && waiting.isFirst(hold)) end(hold);
      }
      await engine.written();
    },
  });

  const leave = async (client: Client, reason: Error): Promise<void> => {
    const ended = [...waiting.ofClient(client)].map(async (hold) => {
      hold.ended = reason;
      hold.answer.reject(reason);
      // Before the next in line may use the same temporary name.
      if (hold.leftover !== undefined) await abandon(hold.leftover.text);
      end(hold);
    });
    await Promise.all(ended);
  };

  return { of, leave };
}
