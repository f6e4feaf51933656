import {
  keyOf,
  namedKey,
  nameOf,
  numberKey,
  numberValue,
  readNumber,
  table,
  type Engine,
} from './engine/engine.js';
import type { Journal } from './engine/journal.js';
import { knownInFull, type MayHave, mayHaveOf, unknown } from './engine/may-have.js';

/**
 * The newest instant at which each path was announced, of what was taken in hand lately. A party, by its hash, is what the
 * blocks of one file have in common: none of them is too old because of another.
 */
export interface NewestInstants {
  readonly hasNewer: (path: Buffer, instant: number, party?: Buffer) => boolean;
  /** Of a path that has no newer one. @throws FatalError when the store cannot be written any more. */
  readonly write: (path: Buffer, instant: number, party?: Buffer) => void;
  /** Resolves when what was written in this turn, and all else in the journal, would be found again. */
  readonly written: () => Promise<void> | undefined;
  readonly expire: () => Promise<void>;
  /** Brings all into the engine. */
  readonly close: () => Promise<void>;
}

/** An instant is remembered for one to two of these, in milliseconds. */
const hour = 3_600_000;

/** When instants go from the journal into the engine: so many of them, or so many milliseconds after the first. */
const together = { count: 1000, time: 1000 };
/** So many wait for the engine at most, in memory: more come only when it has taken some. */
const most = 50_000;

/** A time, and the name of the party that it belongs to; empty for none. */
interface Newest {
  readonly instant: number;
  readonly party: string;
}

const never: Newest = { instant: -Infinity, party: '' };

const inText = (name: string): string => namedKey(name).toString('base64url');
const fromText = (text: string): string => nameOf(Buffer.from(text, 'base64url'));

/** The line of the journal that tells an instant. */
const lineOf = (name: string, { instant, party }: Newest): string =>
  `=${inText(name)} ${instant}${party === '' ? '' : ` ${inText(party)}`}`;

function readLine(line: string): { readonly name: string; readonly newest: Newest } | undefined {
  const [, hash, time, party] = /^=([\w-]{22}) ([\d.e+-]+)(?: ([\w-]{22}))?$/.exec(line) ?? [];
  const instant = Number(time);
  if (hash === undefined || !Number.isFinite(instant)) return undefined;
  return { name: fromText(hash), newest: { instant, party: party === undefined ? '' : fromText(party) } };
}

function readValue(value: Buffer | undefined): Newest {
  const instant = readNumber(value);
  if (value === undefined || instant === undefined) return never;
  return { instant, party: nameOf(value.subarray(8)) };
}

const later = (one: Newest, other: Newest): Newest => (other.instant > one.instant ? other : one);

/** The engine's part: kept by the hour of writing, so that expiry drops whole hours. */
async function byHour(engine: Engine, now: () => number) {
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
  const ofHour = (path: Buffer, when: number): Newest =>
    writtenIn(when).mayHave(path) ? readValue(engine.get(at(path, when))) : never;

  return {
    thisHour,
    of: (path: Buffer): Newest => {
      const when = thisHour();
      return later(ofHour(path, when), ofHour(path, when - 1));
    },
    put: (path: Buffer, { instant, party }: Newest, when: number): void => {
      writtenIn(when).note(path);
      const time = numberValue(instant);
      engine.put(at(path, when), party === '' ? time : Buffer.concat([time, namedKey(party)]));
    },
    expire: async (): Promise<void> => {
      const before = thisHour() - 1;
      for (const when of written.keys()) if (when < before) written.delete(when);
      await engine.clear(Buffer.from([table.newest]), keyOf(table.newest, numberKey(before)));
    },
  };
}

/**
 * An instant is a line of the journal first, which costs nobody a wait, and goes into the engine with many others
 * later: one by one, the engine's batches would cost more than all else that is done about a small file. The journal
 * keeps the line until the engine has it; what a killed owner had not brought there is read from the journal.
 */
export async function newestInstants(
  engine: Engine,
  now: () => number,
  journal: Journal,
): Promise<NewestInstants> {
  const old = await byHour(engine, now);
  /** By name of the path's hash: not in the engine yet. */
  let fresh = new Map<string, Newest>();
  /** The hour in which they were written. */
  let hourOf = old.thisHour();
  /** On their way into the engine, which answers for them already. */
  let moving: ReadonlyMap<string, Newest> = new Map();
  let moved: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  journal.keep(function* () {
    for (const [name, one] of moving) yield lineOf(name, one);
    for (const [name, one] of fresh) yield lineOf(name, one);
  });

  /** One at a time; rejects when the engine cannot be written. */
  const move = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    moved ??= (async () => {
      moving = fresh;
      fresh = new Map();
      for (const [name, one] of moving) old.put(namedKey(name), one, hourOf);
      try {
        await engine.written();
        moving = new Map();
      } finally {
        moved = undefined;
      }
    })();
    return moved;
  };
  /** Whoever needs to know hears of a failure from the engine's `failed`. */
  const moveSoon = (): void => {
    if (fresh.size >= together.count && moved === undefined) move().catch(() => undefined);
    else timer ??= setTimeout(() => void move().catch(() => undefined), together.time).unref();
  };
  const set = (name: string, newest: Newest): void => {
    const when = old.thisHour();
    if (when !== hourOf && fresh.size > 0) move().catch(() => undefined);
    hourOf = when;
    fresh.set(name, newest);
    moveSoon();
  };

  for (const line of journal.found) {
    const read = readLine(line);
    if (read !== undefined) set(read.name, later(read.newest, fresh.get(read.name) ?? never));
  }

  const freshOf = (name: string): Newest | undefined =>
    old.thisHour() - hourOf > 1 ? undefined : fresh.get(name);
  const newestOf = (path: Buffer): Newest => freshOf(nameOf(path)) ?? old.of(path);
  const moveAll = async (): Promise<void> => {
    await moved;
    if (fresh.size > 0) await move();
  };
  return {
    hasNewer: (path, instant, party) => {
      const newest = newestOf(path);
      return newest.instant > instant && (party === undefined || newest.party !== nameOf(party));
    },
    write: (path, instant, party) => {
      engine.failed.throwIfAborted();
      const name = nameOf(path);
      const own: Newest = { instant, party: party === undefined ? '' : nameOf(party) };
      // Of one party it may be older, and then only says that the newest is still of use.
      const newest = party === undefined ? own : later(own, newestOf(path));
      journal.add(lineOf(name, newest));
      set(name, newest);
    },
    written: () => (fresh.size > most ? move().then(journal.written) : journal.written()),
    expire: async () => {
      await moveAll();
      await old.expire();
    },
    close: async () => {
      try {
        await moveAll();
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
