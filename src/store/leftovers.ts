import { closeSync, fdatasync, fdatasyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { FatalError, messageOf, systemCode } from '../errors.js';
import { syncDirectory } from './sync-directory.js';

/** What items in hand would leave behind. */
export interface Leftovers {
  /**
   * Writes one down; answers the number by which it is forgotten. It outlives this process when this returns, and a
   * loss of power when `safe` resolves, where that was asked for.
   */
  readonly note: (text: string) => number;
  readonly safe: () => Promise<void> | undefined;
  /** Nothing of it is left. Written down with what comes next, at the end of this turn of the event loop at the latest. */
  readonly forget: (id: number) => void;
  /** What earlier owners noted and did not forget. */
  readonly found: readonly string[];
  /** The care for what was found has ended. */
  readonly clear: () => void;
  readonly close: () => void;
}

/** Bytes after which the file is written anew with what still counts. */
const fullAt = 1024 * 1024;

const sync = promisify(fdatasync);

/** Lines of a file that were noted and not forgotten. One that cannot be read was never noted to its end. */
function readNotes(path: string): ReadonlyMap<number, string> {
  const notes = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return notes;
    throw unusable(path, error);
  }
  for (const line of text.split('\n')) {
    const [, id, note] = /^(\d+)(?: (".*"))?$/s.exec(line) ?? [];
    if (id === undefined) continue;
    if (note === undefined) notes.delete(Number(id));
    else notes.set(Number(id), textOf(note));
  }
  return notes;
}

function textOf(note: string): string {
  try {
    return String(JSON.parse(note));
  } catch (error) {
    void error;
    return '';
  }
}

const unusable = (path: string, cause: unknown): FatalError =>
  new FatalError(
    `cannot write ${path}: ${messageOf(cause)}. Check free space and permissions, then start again.`,
    { cause },
  );

/**
 * A file to which lines are appended: `5 "text"` notes, `5` forgets. One write of a line is far cheaper than a batch
 * of the engine, and needs nobody to wait for: every file that is fetched passes here.
 *
 * @throws FatalError when it cannot be read or made.
 */
export function openLeftovers(path: string, flush: boolean): Leftovers {
  const live = new Map(readNotes(path));
  const found = [...live.values()].filter((text) => text !== '');
  let last = Math.max(0, ...live.keys());
  let file = -1;
  let length = 0;
  let pending = '';
  let isDue = false;
  let syncing: Promise<void> | undefined;
  let nextSync: Promise<void> | undefined;

  const append = (text: string): void => {
    try {
      length += text.length;
      const bytes = Buffer.from(text);
      if (writeSync(file, bytes) === bytes.length) return;
      // What follows stands on a line of its own, so that only this one is lost.
      pending = '\n';
      throw new Error('there is no room for all of a line');
    } catch (error) {
      throw unusable(path, error);
    }
  };

  /** The file anew, with what counts: whole, or not at all. */
  const rewrite = (): void => {
    const old = { file, length };
    const fresh = `${path}.new`;
    try {
      file = openSync(fresh, 'w', 0o600);
      length = 0;
      append([...live].map(([id, text]) => lineOf(id, text)).join(''));
      if (flush) fdatasyncSync(file);
      renameSync(fresh, path);
      if (flush) syncDirectory(dirname(path));
    } catch (error) {
      if (file >= 0 && file !== old.file) closeSync(file);
      ({ file, length } = old);
      throw error instanceof FatalError ? error : unusable(path, error);
    }
    if (old.file < 0) return;
    // Not while the kernel is still asked about it.
    if (syncing === undefined) closeSync(old.file);
    else void syncing.finally(() => closeSync(old.file));
  };

  const flushPending = (): void => {
    isDue = false;
    if (pending === '' || file < 0) return;
    const text = pending;
    pending = '';
    append(text);
  };

  rewrite();
  return {
    found,
    clear: () => {
      live.clear();
      rewrite();
    },
    note: (text) => {
      last += 1;
      live.set(last, text);
      const line = pending + lineOf(last, text);
      pending = '';
      append(line);
      if (length > fullAt) rewrite();
      return last;
    },
    safe: () => {
      if (!flush) return undefined;
      // One that is under way may have begun before our line was written: the next is for all who ask meanwhile.
      nextSync ??= (syncing ?? Promise.resolve()).then(async () => {
        nextSync = undefined;
        const work = sync(file);
        syncing = work.catch(() => undefined).finally(() => (syncing = undefined));
        try {
          await work;
        } catch (error) {
          throw unusable(path, error);
        }
      });
      return nextSync;
    },
    forget: (id) => {
      if (!live.delete(id)) return;
      pending += `${id}\n`;
      if (isDue) return;
      isDue = true;
      setImmediate(() => {
        try {
          flushPending();
        } catch (error) {
          // Said by whoever notes something next. What was not forgotten is looked for once more by the next owner.
          void error;
        }
      });
    },
    close: () => {
      if (file < 0) return;
      try {
        flushPending();
      } finally {
        closeSync(file);
        file = -1;
      }
    },
  };
}

const lineOf = (id: number, text: string): string => `${id} ${JSON.stringify(text)}\n`;

/** For a store that ends with its process. */
export const noLeftovers = (): Leftovers => ({
  note: () => 0,
  safe: () => undefined,
  forget: () => undefined,
  found: [],
  clear: () => undefined,
  close: () => undefined,
});
