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

interface Hold {
  readonly client: Client;
  readonly paths: readonly string[];
  /** Of the announced path. */
  readonly hash: Buffer;
  readonly instant: number;
  /** Its turn, while it waits for it. */
  turn: Waiter<undefined> | undefined;
  /** Number and text of what would be left behind, once it is noted. */
  leftover: { readonly id: number; readonly text: string } | undefined;
  /** The retries that it has superseded would be found so again. Undefined when it has met none. */
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
    /** Answers whether it has its turn at once. */
    join: (hold: Hold): boolean => {
      for (const path of hold.paths) {
        const line = byPath.get(path);
        if (line === undefined) byPath.set(path, [hold]);
        else line.push(hold);
      }
      return isFirst(hold);
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
      for (const one of next) if (isFirst(one)) one.turn?.answer.resolve(undefined);
    },
    firstOf: (path: string): Hold | undefined => byPath.get(path)?.[0],
    isFirst,
    ofClient: (client: Client): ReadonlySet<Hold> =>
      new Set([...byPath.values()].flat().filter((hold) => hold.client === client)),
  };
}

function checkAlive({ ended }: Hold): void {
  if (ended !== undefined) throw ended;
}

/*
 * What is durable when. Before `enter` answers, one write of the journal notes the leftovers of all that were let in
 * in one turn, so before the files that they name are made; and their instants, so long before the items are
 * acknowledged. That a path was left needs not be written for anything: the next owner looks for what is not there
 * any more, and that is all.
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
    const superseded = retries.supersede([hold.hash], hold.instant);
    if (superseded !== false) {
      if (await superseded) return 'superseded';
      hold.saved = engine.written();
      hold.saved.catch(() => undefined);
      checkAlive(hold);
    }
    newest.write(hold.hash, hold.instant);
    if (leftover !== undefined) hold.leftover = { id: leftovers.note(leftover), text: leftover };
    await newest.written();
    checkAlive(hold);
    return 'entered';
  };

  const waitFor = (hold: Hold, signal: AbortSignal | undefined): Promise<undefined> => {
    hold.turn = waiterOf<undefined>(hold.client, signal, () => waiting.quit(hold));
    return hold.turn.answer.promise;
  };

  const of = (client: Client): Paths => ({
    enter: async (paths, instant, leftover, signal) => {
      signal?.throwIfAborted();
      const hold: Hold = {
        client,
        paths: paths.length === 1 ? paths : [...new Set(paths)],
        hash: hashOf(paths[0] ?? ''),
        instant: clipped(instant, now()),
        turn: undefined,
        leftover: undefined,
        saved: undefined,
        ended: undefined,
      };
      if (isOld(hold)) return 'superseded';
      if (!waiting.join(hold)) await waitFor(hold, signal);
      try {
        // A newer one may have had its turn before it.
        const entry = hold.turn !== undefined && isOld(hold) ? 'superseded' : await letIn(hold, leftover);
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
      hold.turn?.answer.reject(reason);
      // Before the next in line may use the same temporary name.
      if (hold.leftover !== undefined) await abandon(hold.leftover.text);
      end(hold);
    });
    await Promise.all(ended);
  };

  return { of, leave };
}
