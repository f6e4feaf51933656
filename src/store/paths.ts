import { RetryableError } from '../errors.js';
import type { Client, Waiter } from './client.js';
import { waiterOf } from './client.js';
import { clipped, hashOf, type Engine } from './engine.js';
import type { Leftovers } from './leftovers.js';
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
  readonly supersede: (paths: readonly Buffer[], instant: number) => false | Promise<boolean>;
}

export interface PathsParts {
  readonly engine: Engine;
  readonly now: () => number;
  /** Told what a dead client left behind; never rejects. */
  readonly abandon: (leftover: string) => Promise<void>;
  readonly newest: NewestInstants;
  readonly leftovers: Leftovers;
  readonly retries: WaitingRetries;
}

interface Hold extends Waiter<undefined> {
  readonly paths: readonly string[];
  /** Of the announced path. */
  readonly hash: Buffer;
  readonly instant: number;
  /** Number and text of what would be left behind, once it is noted. */
  leftover: { readonly id: number; readonly text: string } | undefined;
  /** What was changed when it was let in would be found again. Undefined before, and once that is so. */
  saved: Promise<void> | undefined;
  /** Its client is gone. */
  ended: Error | undefined;
}

/**
 * Holds wait in one line per path. A hold joins the lines of all its paths in one turn, so any two holds stand in
 * the same order in every line they share, and it has its turn when it is first in all: nobody can wait in a circle.
 */
function lines() {
  const byPath = new Map<string, Hold[]>();
  const isFirst = (hold: Hold): boolean => hold.paths.every((path) => byPath.get(path)?.[0] === hold);
  return {
    join: (hold: Hold): void => {
      for (const path of hold.paths) {
        const line = byPath.get(path);
        if (line === undefined) byPath.set(path, [hold]);
        else line.push(hold);
      }
      if (isFirst(hold)) hold.answer.resolve(undefined);
    },
    quit: (hold: Hold): void => {
      const next = new Set<Hold>();
      for (const path of hold.paths) {
        const line = byPath.get(path);
        const at = line?.indexOf(hold) ?? -1;
        if (line === undefined || at < 0) continue;
        line.splice(at, 1);
        if (line[0] === undefined) byPath.delete(path);
        else next.add(line[0]);
      }
      for (const one of next) if (isFirst(one)) one.answer.resolve(undefined);
    },
    firstOf: (path: string): Hold | undefined => byPath.get(path)?.[0],
    isFirst,
    isFree: (paths: readonly string[]): boolean => paths.every((path) => !byPath.has(path)),
    ofClient: (client: Client): ReadonlySet<Hold> =>
      new Set([...byPath.values()].flat().filter((hold) => hold.client === client)),
  };
}

function checkAlive({ ended }: Hold): void {
  if (ended !== undefined) throw ended;
}

/*
 * What is durable when. A leftover is noted before `enter` answers, so before the file that it names is made. The
 * newest instant is written by the time `leave` answers, so before the item is acknowledged: until then the broker
 * gives the item out again, and it enters again. That a path was left needs not be written for anything: the next
 * owner looks for what is not there any more, and that is all.
 */
export async function openPaths(parts: PathsParts): Promise<OwnedPaths> {
  const { engine, now, abandon, newest, retries, leftovers } = parts;
  const waiting = lines();
  for (const text of leftovers.found) await abandon(text);
  if (leftovers.found.length > 0) leftovers.clear();

  const end = (hold: Hold): void => {
    if (hold.leftover !== undefined) leftovers.forget(hold.leftover.id);
    hold.leftover = undefined;
    waiting.quit(hold);
  };

  /** The instant speaks of the first path alone; the others are only held. */
  const isOld = ({ hash, instant }: Hold): boolean => newest.hasNewer(hash, instant);

  /** It is the turn of this hold: let it in, unless it is too old. */
  const letIn = async (hold: Hold, leftover: string | undefined): Promise<Entry> => {
    if (isOld(hold)) return 'superseded';
    const superseded = retries.supersede([hold.hash], hold.instant);
    if (superseded !== false && (await superseded)) return 'superseded';
    checkAlive(hold);
    newest.write(hold.hash, hold.instant);
    hold.saved = engine.written();
    hold.saved.then(
      () => (hold.saved = undefined),
      () => undefined,
    );
    if (leftover !== undefined) {
      hold.leftover = { id: leftovers.note(leftover), text: leftover };
      await leftovers.safe();
      checkAlive(hold);
    }
    return 'entered';
  };

  const of = (client: Client): Paths => ({
    enter: async (paths, instant, leftover, signal) => {
      signal?.throwIfAborted();
      const hold: Hold = {
        ...waiterOf<undefined>(client, waiting.isFree(paths) ? undefined : signal, () => waiting.quit(hold)),
        paths: paths.length === 1 ? paths : [...new Set(paths)],
        hash: hashOf(paths[0] ?? ''),
        instant: clipped(instant, now()),
        leftover: undefined,
        saved: undefined,
        ended: undefined,
      };
      if (isOld(hold)) return 'superseded';
      waiting.join(hold);
      if (!waiting.isFirst(hold)) await hold.answer.promise;
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
        const hold = waiting.firstOf(path);
        if (hold?.client !== client || !waiting.isFirst(hold)) {
          throw new RetryableError(`${path} is not ours any more: somebody else works on it`);
        }
      }
    },
    leave: async (paths) => {
      // All of them before the first is ended: whoever comes next in one of its lines is not meant.
      const meant = new Set(paths.map(waiting.firstOf).filter((hold) => hold?.client === client));
      for (const hold of meant) {
        if (hold === undefined || !waiting.isFirst(hold)) continue;
        end(hold);
        if (hold.saved !== undefined) await hold.saved;
      }
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
