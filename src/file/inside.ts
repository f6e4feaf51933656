import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PermanentError, RetryableError, systemCode } from '../errors.js';
import { diskError } from './disk-error.js';
import { drop, keptOf, openCache, unpin, type Kept } from './directory-cache.js';
import { openByHandle, openByPath, type Handle, type HandleWay } from './directory-handle.js';
import { elementsOf, splitPath } from './relative-path.js';

/*
 * Containment. Whatever a message says, nothing is read, written or removed outside the root.
 *
 * Checking a path and then using it leaves a moment in which somebody swaps a directory for a symbolic link. So a
 * path is walked one element at a time, every directory is opened without following links, and the last step is
 * done relative to the open directory (`/proc/self/fd/N/name`, Linux), which no swap can redirect. A link on the
 * way is followed only when the directory it opened lies inside the root by the kernel's own account.
 *
 * A directory stays open between operations, by the path that it had without links. Its handle leads to that very
 * directory for ever, whatever stands at its path now; so a swap gains nothing. What has to be asked before each use
 * is whether it was itself moved out of the root or removed: once, of the last directory, because its path as the
 * kernel tells it holds the names of all directories above it. Whoever can move a directory out of the root just
 * between that question and the use of the handle could as well have moved it out with its new content just after.
 *
 * Everything here is synchronous: a handle can then never be closed, and its number given to another directory,
 * while an operation of ours still waits in the thread pool. Whoever needs a directory longer pins it.
 */

/** An open directory inside the root; stays open until released. */
export interface Directory {
  /** Absolute path as it was when opened, without links. */
  readonly path: string;
  /** The same relative to the root; empty for the root. */
  readonly relative: string;
  /** A path by which the operating system reaches `name` in this very directory. */
  readonly at: (name: string) => string;
  /** The directory's descriptor for flushing; undefined where directories cannot be opened. */
  readonly descriptor: number | undefined;
  /** Whether its name and those of the directories above it are known to have been flushed. */
  readonly isAnchored: () => boolean;
  /** They have been flushed now. */
  readonly anchor: () => void;
  /** Gives it back; must be called once. */
  readonly release: () => void;
}

/** A directory that nothing may leave. */
export interface Root {
  /** Absolute path without links. */
  readonly path: string;
  /** The absolute path of something below, for people and hooks; nothing is looked up. Throws PermanentError. */
  readonly absolute: (relPath: string) => string;
  /**
   * Opens the directory that `elements` lead to; with `create`, missing ones are made (mode 0775 less the umask,
   * unless given). Throws PermanentError 417 when the way leaves the root, RetryableError for the disk, with the
   * system's code (ENOENT, ENOTDIR, ...) as cause.
   */
  readonly enter: (elements: readonly string[], create?: { readonly mode?: number | undefined }) => Directory;
  /** Closes all directories that are not pinned. */
  readonly close: () => void;
}

export interface RootOptions {
  /** Make the root itself when it is missing. */
  readonly create?: boolean;
  /** Directories kept open between operations. */
  readonly handles?: number;
  /** `path` checks before and after instead of using handles; chosen where there is no `/proc`. */
  readonly way?: 'handle' | 'path';
}

const defaultDirectoryMode = 0o775;

/** Opens a root. Throws RetryableError when the directory cannot be opened or made. */
export function openRoot(directory: string, options: RootOptions = {}): Root {
  const way = wayOf(options.way);
  const cache = openCache(Math.max(options.handles ?? 256, 8));
  const openTop = (): Kept => topOf(directory, way, options.create === true);
  let base = openTop();

  /** The root may have been removed and made again, or replaced by another file system, under our feet. */
  const top = (): Kept => {
    if (base.handle.isCurrent()) return base;
    const fresh = openTop();
    drop(base);
    cache.clear();
    base = fresh;
    return base;
  };
  const walk: Walk = {
    way,
    base: () => base,
    recall: (relative) => (relative === '' ? base : cache.recall(relative)),
    keep: cache.keep,
  };

  return {
    get path() {
      return base.handle.path;
    },
    absolute: (relPath) => join(base.handle.path, ...elementsOf(relPath)),
    enter: (elements, create) => {
      // A directory that the kernel still shows where it was opened has all above it in their places, too.
      const known = elements.length === 0 ? undefined : cache.recall(elements.join('/'));
      if (known !== undefined) return pinned(known);
      let kept = top();
      for (const element of elements) kept = step(walk, kept, element, create);
      return pinned(kept);
    },
    close: () => {
      drop(base);
      cache.clear();
    },
  };
}

/** What a step from one directory to the next needs to know. */
interface Walk {
  readonly way: HandleWay;
  readonly base: () => Kept;
  readonly recall: (relative: string) => Kept | undefined;
  readonly keep: (handle: Handle, relative: string) => Kept;
}

function topOf(directory: string, way: HandleWay, create: boolean): Kept {
  try {
    if (create) mkdirSync(directory, { recursive: true, mode: defaultDirectoryMode });
    return keptOf(way.open(directory, true), '');
  } catch (error) {
    throw diskError(error, `open directory ${directory}`);
  }
}

function pinned(kept: Kept): Directory {
  kept.pins += 1;
  let isHeld = true;
  return {
    path: kept.handle.path,
    relative: kept.relative,
    at: kept.handle.at,
    descriptor: kept.handle.descriptor,
    isAnchored: () => kept.isAnchored,
    anchor: () => {
      kept.isAnchored = true;
    },
    release: () => {
      if (isHeld) unpin(kept);
      isHeld = false;
    },
  };
}

/** The directory `element` of another one: kept from earlier, opened, or made. */
function step(
  walk: Walk,
  from: Kept,
  element: string,
  create: { readonly mode?: number | undefined } | undefined,
): Kept {
  const relative = from.relative === '' ? element : `${from.relative}/${element}`;
  const known = walk.recall(relative);
  if (known !== undefined) return known;
  const asked = join(walk.base().handle.path, relative);
  const place = from.handle.at(element);
  try {
    return adopt(walk, openDirectory(walk.way, place), asked);
  } catch (error) {
    if (create === undefined || systemCode(error) !== 'ENOENT')
      throw diskError(error, `open directory ${asked}`);
  }
  try {
    makeDirectory(place, create.mode ?? defaultDirectoryMode);
    return adopt(walk, openDirectory(walk.way, place), asked);
  } catch (error) {
    throw diskError(error, `make directory ${asked}`);
  }
}

/** Takes a newly opened directory in, if it lies inside by the kernel's own account. */
function adopt(walk: Walk, handle: Handle, asked: string): Kept {
  const base = walk.base().handle.path;
  const relative = relativeTo(base, handle.path);
  if (relative === undefined) {
    handle.close();
    throw new PermanentError(417, `${asked} leads to ${handle.path}, outside ${base}: refused`);
  }
  const known = walk.recall(relative);
  if (known === undefined) return walk.keep(handle, relative);
  handle.close();
  return known;
}

const wayOf = (wanted: 'handle' | 'path' | undefined): HandleWay => {
  const chosen = wanted ?? (process.platform === 'linux' && existsSync('/proc/self/fd') ? 'handle' : 'path');
  return chosen === 'handle' ? openByHandle : openByPath;
};

/** Opens a directory; when a link stands there, what the link leads to. The caller checks where that is. */
function openDirectory(way: HandleWay, place: string): Handle {
  try {
    return way.open(place, false);
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw error;
  }
  return way.open(place, true);
}

function makeDirectory(place: string, mode: number): void {
  try {
    mkdirSync(place, { mode });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** The path from one directory to another below it; undefined when it is not below. */
function relativeTo(base: string, path: string): string | undefined {
  if (path === base) return '';
  const prefix = base.endsWith('/') || base.endsWith('\\') ? base : join(base, 'x').slice(0, -1);
  return path.startsWith(prefix) ? path.slice(prefix.length).replaceAll('\\', '/') : undefined;
}

/** Where the last step of an operation happens. */
export interface Place {
  readonly directory: Directory;
  readonly name: string;
  /** Path to hand to the operating system. */
  readonly at: string;
}

/**
 * Runs one synchronous operation on a path below the root. `what` names the operation for error messages ("remove",
 * "read"). Throws PermanentError 417 when the path leaves the root, RetryableError for the disk.
 */
export function inside<T>(
  root: Root,
  relPath: string,
  options: { readonly what: string; readonly create?: { readonly mode?: number | undefined } },
  use: (place: Place) => T,
): T {
  const { directories, name } = splitPath(relPath);
  const directory = root.enter(directories, options.create);
  try {
    const result = use({ directory, name, at: directory.at(name) });
    // Without handles a swap between check and use can only be noticed afterwards.
    if (directory.descriptor === undefined) root.enter(directories).release();
    return result;
  } catch (error) {
    throw diskError(error, `${options.what} ${join(directory.path, name)}`);
  } finally {
    directory.release();
  }
}

/** Like `inside`, but undefined when the directory does not exist. */
export function insideIfThere<T>(
  root: Root,
  relPath: string,
  what: string,
  use: (place: Place) => T | undefined,
): T | undefined {
  try {
    return inside(root, relPath, { what }, use);
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof RetryableError && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw error;
  }
}
