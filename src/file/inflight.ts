import { closeSync, constants, fstatSync, lstatSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { RetryableError, systemCode } from '../errors.js';
import { permissionBits, setAttributes, type Attributes } from './attributes.js';
import { diskError } from './disk-error.js';
import { flushData, flushDirectory } from './flush.js';
import { inflightPath, type InflightNaming } from './inflight-name.js';
import type { Root } from './inside.js';
import { splitPath } from './relative-path.js';
import { writeAll, writeAllSync } from './write-all.js';

/** Bytes gathered before they are written; what stays below is written at once, without the thread pool. */
const batch = 512 * 1024;

export interface FinishOptions extends Attributes {
  /** Data and directory entry survive a power failure when `install` resolves. */
  readonly flush: boolean;
}

/** A file being written under a private name. End it with `install` or `discard`; `discard` after either is harmless. */
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
  readonly finish: (options: FinishOptions) => Promise<void>;
  /** Renames the finished file over its target, atomically. Throws RetryableError. */
  readonly install: () => Promise<void>;
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
  /** Renames over the target; when asked, flushes the data before it and the directories after it. */
  readonly rename: (flush: boolean) => Promise<void>;
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
  const relPath = inflightPath(relTarget, naming);
  const target = splitPath(relTarget);
  const own = splitPath(relPath);
  const directory = root.enter(own.directories, { mode });
  const at = directory.at(own.name);
  const removeLeftover = (): void => {
    try {
      unlinkSync(at);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  };
  return {
    path: join(directory.path, own.name),
    relPath,
    at,
    removeLeftover,
    rename: async (flush) => {
      // Only now: hooks may have changed the data since it was written.
      if (flush) await flushFile(at);
      // Entered anew: the target's directory may have been moved or removed while the data came in.
      const place = root.enter(target.directories, { mode });
      try {
        const entry = lstatSync(at);
        if (!entry.isFile()) throw new RetryableError(`${relPath} is not a regular file any more`);
        const final = place.at(target.name);
        if (entry.size > batch && lstatSync(final, { throwIfNoEntry: false }) !== undefined) {
          // Some file systems write the data out before they replace a file: we must not stand still for that.
          await rename(at, final);
        } else renameSync(at, final);
        // Renaming one of two names of a file onto the other does nothing: the private name then goes by hand.
        if (entry.nlink > 1) removeLeftover();
        if (flush) await flushDirectory(root, place, target.directories);
      } finally {
        place.release();
      }
    },
    release: directory.release,
  };
}

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
  const run = (what: string, work: Promise<void>): Promise<void> => {
    under = work.catch(() => undefined);
    return work.catch((error: unknown) => {
      throw diskError(error, `${what} ${slot.path}`);
    });
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
  const complete = async (options: FinishOptions): Promise<void> => {
    if (size <= batch && pendingBytes === size) writeAllSync(opened, takePending());
    else await writeAll(opened, takePending());
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
      return pendingBytes >= batch ? run('write', writeAll(opened, takePending())) : undefined;
    },
    finish: async (options) => {
      pass('writing', 'finishing');
      flush = options.flush;
      await run('write', complete(options));
      pass('finishing', 'finished');
      close();
    },
    install: async () => {
      pass('finished', 'installing');
      await run('install', slot.rename(flush));
      pass('installing', 'installed');
      slot.release();
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
