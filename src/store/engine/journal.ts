import { closeSync, fdatasync, fdatasyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { FatalError, messageOf, systemCode } from '../../errors.js';
import { deferred, type Deferred } from '../deferred.js';
import { syncDirectory } from './sync-directory.js';

/** Lines that outlive this process, for what is short-lived or on its way into the engine. */
export interface Journal {
  /** What earlier owners have added, in the order of adding; one that was torn is there in part. */
  readonly found: readonly string[];
  /** Is written at the end of this turn of the event loop, with all that came in it. */
  readonly add: (line: string) => void;
  /** Resolves when what was added in this turn outlives this process, and a loss of power where that was asked for. */
  readonly written: () => Promise<void> | undefined;
  /** `lines` tells what still counts of what its caller has added: all that remains when the file is written anew. */
  readonly keep: (lines: () => Iterable<string>) => void;
  /** Aborted with the FatalError of the first write that failed; nothing is written any more then. */
  readonly failed: AbortSignal;
  /** Writes what is due and keeps only what counts. Never throws: see `failed`. */
  readonly close: () => void;
}

/** Bytes after which the file is written anew, unless most of it still counts. */
const smallest = 1024 * 1024;

const sync = promisify(fdatasync);

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw unusable(path, error);
  }
}

const unusable = (path: string, cause: unknown): FatalError =>
  new FatalError(
    `cannot write ${path}: ${messageOf(cause)}. Check free space and permissions, then start again.`,
    { cause },
  );

/** The file itself. */
interface Appender {
  readonly length: () => number;
  readonly append: (text: string) => void;
  /** The file anew: whole, or not at all. */
  readonly rewrite: (text: string) => void;
  readonly sync: () => Promise<void>;
  readonly close: () => void;
}

function writeWhole(file: number, text: string): number {
  const bytes = Buffer.from(text);
  if (bytes.length > 0 && writeSync(file, bytes) !== bytes.length)
    throw new Error('there is no room for all of it');
  return bytes.length;
}

function openAppender(path: string, flush: boolean, size: number): Appender {
  let file = openSync(path, 'a', 0o600);
  // It may have been made just now.
  if (flush) syncDirectory(dirname(path));
  let length = size;
  let syncing: Promise<void> | undefined;
  return {
    length: () => length,
    append: (text) => {
      length += writeWhole(file, text);
    },
    rewrite: (text) => {
      const fresh = openSync(`${path}.new`, 'w', 0o600);
      try {
        length = writeWhole(fresh, text);
        if (flush) fdatasyncSync(fresh);
        renameSync(`${path}.new`, path);
        if (flush) syncDirectory(dirname(path));
      } catch (error) {
        closeSync(fresh);
        throw error;
      }
      const old = file;
      file = fresh;
      // Not while the kernel is still asked about it.
      if (syncing === undefined) closeSync(old);
      else void syncing.finally(() => closeSync(old));
    },
    sync: () => {
      const work = sync(file);
      syncing = work.catch(() => undefined).finally(() => (syncing = undefined));
      return work;
    },
    close: () => {
      const old = file;
      if (syncing === undefined) closeSync(old);
      else void syncing.finally(() => closeSync(old));
    },
  };
}

/**
 * A file to which lines are appended, all of one turn of the event loop with one write: that is far cheaper than a
 * batch of the engine, and every file that is fetched passes here.
 *
 * @throws FatalError when it cannot be read or made.
 */
export function openJournal(path: string, flush: boolean): Journal {
  const text = readText(path);
  const found = text.split('\n').filter((line) => line !== '');
  const file = ((): Appender => {
    try {
      return openAppender(path, flush, Buffer.byteLength(text));
    } catch (error) {
      throw unusable(path, error);
    }
  })();
  const failed = new AbortController();
  const keepers: (() => Iterable<string>)[] = [];
  // What follows a torn line stands on a line of its own.
  let pending = text === '' || text.endsWith('\n') ? '' : '\n';
  let isDue = false;
  let isClosed = false;
  let fullAt = Math.max(smallest, 2 * file.length());
  /** Of those who wait for what is pending. */
  let turn: Deferred<undefined> | undefined;
  /** Of those whose lines are in the file, but maybe not on the disk. */
  let unsafe: Deferred<undefined>[] = [];
  let isSyncing = false;

  const guarded = <T>(work: () => T): T | undefined => {
    try {
      failed.signal.throwIfAborted();
      return work();
    } catch (error) {
      if (!failed.signal.aborted) failed.abort(unusable(path, error));
      return undefined;
    }
  };
  const rewrite = (): void => {
    let kept = '';
    for (const lines of keepers) for (const line of lines()) kept += `${line}\n`;
    file.rewrite(kept);
    fullAt = Math.max(smallest, 2 * file.length());
  };
  const endOf = (waiting: readonly Deferred<undefined>[]): void => {
    for (const one of waiting) {
      if (failed.signal.aborted) one.reject(failed.signal.reason);
      else one.resolve(undefined);
    }
  };
  const syncAll = async (): Promise<void> => {
    if (isSyncing) return;
    isSyncing = true;
    while (unsafe.length > 0) {
      const waiting = unsafe;
      unsafe = [];
      // One that was under way may have begun before these were written: hence one by one.
      await guarded(file.sync)?.catch((error: unknown) => {
        if (!failed.signal.aborted) failed.abort(unusable(path, error));
      });
      endOf(waiting);
    }
    isSyncing = false;
  };
  const endTurn = (): void => {
    isDue = false;
    if (isClosed) return;
    const [lines, waiting] = [pending, turn];
    pending = '';
    turn = undefined;
    guarded(() => {
      file.append(lines);
      if (file.length() > fullAt) rewrite();
    });
    if (waiting === undefined) return;
    if (flush) {
      unsafe.push(waiting);
      void syncAll();
    } else endOf([waiting]);
  };

  return {
    found,
    add: (line) => {
      pending += `${line}\n`;
      if (isDue) return;
      isDue = true;
      setImmediate(endTurn);
    },
    written: () => {
      if (failed.signal.aborted) return Promise.reject(failed.signal.reason as FatalError);
      if (!isDue) return undefined;
      turn ??= deferred<undefined>();
      return turn.promise;
    },
    keep: (lines) => {
      keepers.push(lines);
    },
    failed: failed.signal,
    close: () => {
      if (isClosed) return;
      endTurn();
      isClosed = true;
      try {
        if (!failed.signal.aborted && file.length() > 0) rewrite();
      } catch (error) {
        // It is longer than it need be, and all of it was written.
        void error;
      }
      file.close();
    },
  };
}

/** For a store that ends with its process. */
export const noJournal = (): Journal => ({
  found: [],
  add: () => undefined,
  written: () => undefined,
  keep: () => undefined,
  failed: new AbortController().signal,
  close: () => undefined,
});
