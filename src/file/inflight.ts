import { closeSync, constants, fstatSync, lstatSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { RetryableError, systemCode } from '../errors.js';
import { permissionBits, setAttributes, type Attributes } from './attributes.js';
import { diskError } from './disk-error.js';
import { flushData, flushDirectory } from './flush.js';
import { inflightPlace, type InflightNaming } from './inflight-name.js';
import type { Directory, Root } from './inside.js';
import { joinPath, splitPath } from './relative-path.js';
import { writeAll, writeAllSync } from './write-all.js';

/** Bytes gathered before they are written; what stays below is written at once, without the thread pool. */
const batch = 512 * 1024;

export interface FinishOptions extends Attributes {
  /** Data and directory entry survive a power failure when `install` resolves. */
  readonly flush: boolean;
}

/**
 * A file being written under a private name. End it with `install` or `discard`; `discard` after either is harmless.
 * What is little is done at once: then there is nothing to await, and what fails is thrown.
 */
export interface Inflight {
  /** Absolute path of the private name, for hooks. */
  readonly path: string;
  /** The same, relative to the root. */
  readonly relPath: string;
  /** Takes the next bytes, which must not be changed afterwards. Await the result before writing more. */
  readonly write: (data: Uint8Array) => Promise<void> | undefined;
  /** Bytes taken so far. */
  readonly size: () => number;
  /** Everything is written and the attributes are set; hooks may look at the file now. Throws RetryableError. */
  readonly finish: (options: FinishOptions) => Promise<void> | undefined;
  /** Renames the finished file over its target, atomically. Throws RetryableError. */
  readonly install: () => Promise<void> | undefined;
  /** Removes the private name. Never throws. */
  readonly discard: () => Promise<void>;
}

export interface InflightOptions {
  /** Permissions the file is created with, so that private data is never readable on the way; default 0666 less umask. */
  readonly mode?: number | undefined;
  /** Permissions of directories that are made; default 0775 less umask. */
  readonly directoryMode?: number | undefined;
}

/**
 * Begins a file below the root. The caller owns the target's path; so a file that stands under the private name is
 * what a killed process left, and is replaced. Throws PermanentError 417 when the path leaves the root,
 * RetryableError for the disk.
 */
export function openInflight(
  root: Root,
  relTarget: string,
  naming: InflightNaming,
  options: InflightOptions = {},
): Inflight {
  const slot = openSlot(root, relTarget, naming, options.directoryMode);
  let descriptor: number;
  try {
    descriptor = createFile(slot, permissionBits(options.mode ?? 0o666));
  } catch (error) {
    slot.release();
    throw diskError(error, `write ${slot.path}`);
  }
  return inflightOf(slot, descriptor);
}

function createFile(slot: Slot, mode: number): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    return openSync(slot.at, flags, mode);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  slot.removeLeftover();
  return openSync(slot.at, flags, mode);
}

/** The private name of a target, with its directory held open. */
export interface Slot {
  readonly path: string;
  readonly relPath: string;
  /** Path to hand to the operating system. */
  readonly at: string;
  readonly removeLeftover: () => void;
  /**
   * Renames over the target; when asked, flushes the data before it and the directories after it. Nothing is to be
   * awaited when it was done at once.
   */
  readonly rename: (flush: boolean) => Promise<void> | undefined;
  readonly release: () => void;
}

async function flushFile(at: string): Promise<void> {
  const descriptor = openSync(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await flushData(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Opens the directory of the private name, making what is missing. Throws as `inside` does. */
export function openSlot(root: Root, relTarget: string, naming: InflightNaming, mode?: number): Slot {
  const target = splitPath(relTarget);
  const own = inflightPlace(target, naming);
  const relPath = joinPath(own);
  const directory = root.enter(own.directories, { mode });
  const at = directory.at(own.name);
  const removeLeftover = (): void => {
    try {
      unlinkSync(at);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  };
  const renameInto = (place: Directory): Promise<void> | undefined => {
    const entry = lstatSync(at);
    if (!entry.isFile()) throw new RetryableError(`${relPath} is not a regular file any more`);
    const final = place.at(target.name);
    // Renaming one of two names of a file onto the other does nothing: the private name then goes by hand.
    const tidy = (): void => {
      if (entry.nlink > 1) removeLeftover();
    };
    // Some file systems write the data out before they replace a file: we must not stand still for that.
    if (entry.size > batch && lstatSync(final, { throwIfNoEntry: false }) !== undefined)
      return rename(at, final).then(tidy);
    renameSync(at, final);
    tidy();
    return undefined;
  };
  /** Entered anew: the target's directory may have been moved or removed while the data came in. */
  const within = (work: (place: Directory) => Promise<void> | undefined): Promise<void> | undefined => {
    const place = root.enter(target.directories, { mode });
    let begun: Promise<void> | undefined;
    try {
      begun = work(place);
    } finally {
      if (begun === undefined) place.release();
    }
    return begun?.finally(place.release);
  };
  const renameFlushed = async (): Promise<void> => {
    // Only now: hooks may have changed the data since it was written.
    await flushFile(at);
    await within(async (place) => {
      await renameInto(place);
      await flushDirectory(root, place, target.directories);
    });
  };
  return {
    path: join(directory.path, own.name),
    relPath,
    at,
    removeLeftover,
    rename: (flush) => (flush ? renameFlushed() : within(renameInto)),
    release: directory.release,
  };
}

/** Goes on when work has ended, at once where it has. */
const after = (work: Promise<void> | undefined, next: () => void): Promise<void> | undefined => {
  if (work !== undefined) return work.then(next);
  next();
  return undefined;
};

/** An Inflight on an open, empty file. */
function inflightOf(slot: Slot, opened: number): Inflight {
  let state: 'writing' | 'finishing' | 'finished' | 'installing' | 'installed' | 'discarded' = 'writing';
  let descriptor: number | undefined = opened;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let size = 0;
  let flush = false;
  /** Permissions as the umask and the directory's defaults have left them, once somebody has looked. */
  let createdMode: number | undefined;
  /** What the thread pool works on now; no descriptor must be closed before it ends. */
  let under: Promise<void> = Promise.resolve();

  const pass = (from: typeof state, to: typeof state): void => {
    if (state !== from) throw new RetryableError(`${slot.path} is ${state}, not ${from}`);
    state = to;
  };
  const run = (what: string, work: () => Promise<void> | undefined): Promise<void> | undefined => {
    const fail = (error: unknown): never => {
      throw diskError(error, `${what} ${slot.path}`);
    };
    let begun: Promise<void> | undefined;
    try {
      begun = work();
    } catch (error) {
      fail(error);
    }
    if (begun === undefined) return undefined;
    under = begun.catch(() => undefined);
    return begun.catch(fail);
  };
  const takePending = (): Uint8Array[] => {
    const data = pending;
    pending = [];
    pendingBytes = 0;
    return data;
  };
  const close = (): void => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  /** A process that was suspended may have been taken for dead: then the next owner of the path has the name. */
  const hasOurName = (): boolean => {
    const there = lstatSync(slot.at, { throwIfNoEntry: false });
    const own = fstatSync(opened);
    createdMode = own.mode & 0o7777;
    return there?.ino === own.ino && there.dev === own.dev;
  };
  const writeRest = (): Promise<void> | undefined => {
    if (size > batch || pendingBytes < size) return writeAll(opened, takePending());
    writeAllSync(opened, takePending());
    return undefined;
  };
  const dress = (options: FinishOptions): void => {
    if (!hasOurName()) throw new RetryableError(`${slot.path} was removed or replaced while it was written`);
    const isModeRight = options.mode !== undefined && createdMode === permissionBits(options.mode);
    setAttributes(opened, isModeRight ? { modified: options.modified, accessed: options.accessed } : options);
  };

  return {
    path: slot.path,
    relPath: slot.relPath,
    size: () => size,
    write: (data) => {
      pass('writing', 'writing');
      pending.push(data);
      pendingBytes += data.byteLength;
      size += data.byteLength;
      return pendingBytes >= batch ? run('write', () => writeAll(opened, takePending())) : undefined;
    },
    finish: (options) => {
      pass('writing', 'finishing');
      flush = options.flush;
      return after(
        run('write', () => after(writeRest(), () => dress(options))),
        () => {
          pass('finishing', 'finished');
          close();
        },
      );
    },
    install: () => {
      pass('finished', 'installing');
      return after(
        run('install', () => slot.rename(flush)),
        () => {
          pass('installing', 'installed');
          slot.release();
        },
      );
    },
    discard: async () => {
      if (state === 'installed' || state === 'discarded') return;
      state = 'discarded';
      pending = [];
      try {
        if (descriptor === undefined || hasOurName()) slot.removeLeftover();
      } catch {
        // The name cannot be removed now; the next owner of the path does it.
      }
      await under;
      close();
      slot.release();
    },
  };
}
