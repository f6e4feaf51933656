import { RetryableError } from '../errors.js';
import type { OwnedAssemblies } from './assembly/assembly.js';
import type { Client, Waiter } from './client.js';
import { waiterOf } from './client.js';
import { clipped, hashOf, type Engine } from './engine/engine.js';
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
  /**
   * Marks older ones of the paths; answers true, and marks none, when a newer one waits. Those of the same party, told
   * by its hash, are left alone.
   */
  readonly supersede: (
    paths: readonly Buffer[],
    instant: number,
    party: Buffer | undefined,
  ) => false | Promise<boolean>;
}

export interface PathsParts {
  readonly engine: Engine;
  readonly now: () => number;
  /** Told what a dead client left behind; never rejects. */
  readonly abandon: (leftover: string) => Promise<void>;
  readonly newest: NewestInstants;
  readonly leftovers: Leftovers;
  readonly retries: WaitingRetries;
  /** Files in blocks: what they are part of is the party of those who work on them. */
  readonly assemblies: Pick<OwnedAssemblies, 'isOvertaken' | 'giveUp'>;
}

interface Party {
  readonly name: string;
  readonly hash: Buffer;
}

interface Hold {
  readonly client: Client;
  readonly paths: readonly string[];
  /** Of the announced path. */
  readonly hash: Buffer;
  readonly instant: number;
  readonly party: Party | undefined;
  /** It has been let in. */
  isIn: boolean;
  /** Its turn, while it waits for it. */
  turn: Waiter<undefined> | undefined;
  /** Number and text of what would be left behind, once it is noted. */
  leftover: { readonly id: number; readonly text: string } | undefined;
  /** The retries that it has superseded would be found so again. Undefined when it has met none. */
  saved: Promise<void> | undefined;
  /** Its client is gone. */
  ended: Error | undefined;
}

const areTogether = (one: Hold, other: Hold): boolean =>
  one === other || (one.party !== undefined && one.party.name === other.party?.name);

/**
 * Holds wait in one line per path. A hold joins the lines of all its paths in one turn, so any two holds stand in
 * the same order in every line they share, and it has its turn when only its own party is before it, in all of them:
 * nobody can wait in a circle.
 */
function lines() {
  const byPath = new Map<string, Hold[]>();
  const hasTurnIn = (hold: Hold, line: readonly Hold[]): boolean => {
    for (const one of line) {
      if (one === hold) return true;
      if (!areTogether(one, hold)) return false;
    }
    return false;
  };
  const hasTurn = (hold: Hold): boolean =>
    hold.paths.every((path) => hasTurnIn(hold, byPath.get(path) ?? []));
  /** Those whose turn it may be in a line: the first, and its party up to somebody else. */
  const headOf = (line: readonly Hold[]): readonly Hold[] => {
    const end = line.findIndex((one) => !areTogether(one, line[0] ?? one));
    return end < 0 ? line : line.slice(0, end);
  };
  const isHeld = (hold: Hold, client: Client): boolean => hold.client === client && hold.isIn;
  const heldBy = (client: Client, path: string): Hold | undefined =>
    byPath.get(path)?.find((hold) => isHeld(hold, client));
  return {
    /** Answers whether it has its turn at once. */
    join: (hold: Hold): boolean => {
      for (const path of hold.paths) {
        const line = byPath.get(path);
        if (line === undefined) byPath.set(path, [hold]);
        else line.push(hold);
      }
      return hasTurn(hold);
    },
    quit: (hold: Hold): void => {
      const next = new Set<Hold>();
      for (const path of hold.paths) {
        const line = byPath.get(path);
        const at = line?.indexOf(hold) ?? -1;
        if (line === undefined || at < 0) continue;
        line.splice(at, 1);
        if (line.length === 0) byPath.delete(path);
        else for (const one of headOf(line)) if (!one.isIn) next.add(one);
      }
      for (const one of next) if (hasTurn(one)) one.turn?.answer.resolve(undefined);
    },
    heldBy,
    /** What a client has entered with these paths. */
    enteredWith: (client: Client, paths: readonly string[]): ReadonlySet<Hold> => {
      const line = byPath.get(paths[0] ?? '') ?? [];
      const hasSame = (hold: Hold): boolean =>
        hold.paths.length === paths.length && hold.paths.every((path, index) => path === paths[index]);
      // Of a party, others of the same client may have some of them, too.
      const exact = line.find((hold) => isHeld(hold, client) && hasSame(hold));
      const found = exact === undefined ? paths.map((path) => heldBy(client, path)) : [exact];
      return new Set(found.filter((hold) => hold !== undefined));
    },
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
  const { engine, now, abandon, newest, retries, leftovers, assemblies } = parts;
  const waiting = lines();
  for (const text of leftovers.found) await abandon(text);
  if (leftovers.found.length > 0) leftovers.clear();

  const end = (hold: Hold): void => {
    if (hold.leftover !== undefined) leftovers.forget(hold.leftover.id);
    hold.leftover = undefined;
    waiting.quit(hold);
  };

  /** The instant speaks of the first path alone; the others are only held. */
  const isOld = ({ hash, instant, party }: Hold): boolean =>
    newest.hasNewer(hash, instant, party?.hash) || assemblies.isOvertaken(hash, instant, party?.name);

  /** It is the turn of this hold: let it in, unless it is too old. */
  const letIn = async (hold: Hold, leftover: string | undefined): Promise<Entry> => {
    const superseded = retries.supersede([hold.hash], hold.instant, hold.party?.hash);
    if (superseded !== false) {
      if (await superseded) return 'superseded';
      hold.saved = engine.written();
      hold.saved.catch(() => undefined);
      checkAlive(hold);
    }
    const givenUp = assemblies.giveUp(hold.hash, hold.party?.name);
    if (givenUp !== undefined) {
      await givenUp;
      checkAlive(hold);
    }
    newest.write(hold.hash, hold.instant, hold.party?.hash);
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
    enter: async (paths, instant, leftover, signal, party) => {
      signal?.throwIfAborted();
      const hold: Hold = {
        client,
        paths: paths.length === 1 ? paths : [...new Set(paths)],
        hash: hashOf(paths[0] ?? ''),
        instant: clipped(instant, now()),
        party: party === undefined ? undefined : { name: party, hash: hashOf(party) },
        isIn: false,
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
        else hold.isIn = true;
        return entry;
      } catch (error) {
        // One whose client is gone ends when its leftover is cleared away.
        if (hold.ended === undefined) end(hold);
        throw error;
      }
    },
    confirm: async (paths) => {
      for (const path of paths) {
        if (waiting.heldBy(client, path) === undefined) {
          throw new RetryableError(`${path} is not ours any more: somebody else works on it`);
        }
      }
    },
    leave: async (paths) => {
      for (const hold of waiting.enteredWith(client, paths)) {
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
