import { lstatSync, statSync, type Stats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RetryableError, systemCode } from '../errors.js';

/** One thing found in a tree. */
export interface TreeEntry {
  /** As walked: the given path and the names below it. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  /** Of the link itself for a link. */
  readonly stat: Stats;
}

export interface WalkOptions {
  /** After a link also yield what it leads to, and walk a directory it leads to (each only once). */
  readonly followLinks?: boolean;
  /** Told of what cannot be read or named; the walk goes on. */
  readonly unreadable?: (path: string, error: unknown) => void;
  /** Ends the walk early, without an error. */
  readonly stop?: AbortSignal;
}

/** A directory whose names are being worked through. */
interface Level {
  readonly path: string;
  readonly names: readonly string[];
  next: number;
}

/**
 * Everything at and below `path`, each directory before what is in it, names in byte order. Memory grows with the
 * depth and the largest single directory, not with the tree. What vanishes during the walk is left out silently.
 */
export async function* walkTree(
  path: string,
  options: WalkOptions = {},
): AsyncGenerator<TreeEntry, void, void> {
  /** Directories reached, as device and inode: a link into one of them is not walked again. Only kept for links. */
  const reached = new Set<string>();
  // One generator for the whole tree: with one in another, each entry would have to climb through all of them.
  const levels: Level[] = [];
  const isStopped = (): boolean => options.stop?.aborted === true;
  let here = isStopped() ? undefined : path;
  while (here !== undefined) {
    const found = look(here, false, options);
    let below = found?.isDirectory() === true;
    if (found !== undefined) yield { path: here, kind: kindOf(found), stat: found };
    if (options.followLinks === true && found !== undefined) {
      if (below) reached.add(identity(found));
      const target = found.isSymbolicLink() ? look(here, true, options) : undefined;
      below ||= target?.isDirectory() === true && !reached.has(identity(target));
      if (target !== undefined && (below || !target.isDirectory())) {
        if (below) reached.add(identity(target));
        yield { path: here, kind: kindOf(target), stat: target };
      }
    }
    if (isStopped()) return;
    if (below) levels.push({ path: here, names: await namesIn(here, options), next: 0 });
    here = nextOf(levels);
  }
}

function nextOf(levels: Level[]): string | undefined {
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const name = level.names[level.next];
    level.next += 1;
    if (name !== undefined) return join(level.path, name);
    levels.pop();
  }
  return undefined;
}

async function namesIn(path: string, options: WalkOptions): Promise<readonly string[]> {
  try {
    return (await readdir(path)).sort((one, other) => (one < other ? -1 : 1));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') options.unreadable?.(path, error);
    return [];
  }
}

/** Undefined for what vanished, and for what cannot be looked at after telling. */
function look(path: string, follow: boolean, options: WalkOptions): Stats | undefined {
  try {
    return follow ? statSync(path) : lstatSync(path);
  } catch (error) {
    const isMisnamed = path.includes('\uFFFD');
    if (isMisnamed) options.unreadable?.(path, new RetryableError(`the name of ${path} is not valid UTF-8`));
    else if (systemCode(error) !== 'ENOENT') options.unreadable?.(path, error);
    return undefined;
  }
}

function kindOf(stat: Stats): TreeEntry['kind'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'link' : 'other';
}

const identity = (stat: Stats): string => `${stat.dev}:${stat.ino}`;
