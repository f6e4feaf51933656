import { lstatSync, statSync, type Stats } from 'node:fs';
import { opendir } from 'node:fs/promises';
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

interface Walk {
  readonly options: WalkOptions;
  /** Directories reached, as device and inode: a link into one of them is not walked again. Only kept for links. */
  readonly reached: Set<string>;
}

/**
 * Everything at and below `path`, each directory before what is in it, names in byte order. Memory grows with the
 * depth and the largest single directory, not with the tree. What vanishes during the walk is left out silently.
 */
export async function* walkTree(
  path: string,
  options: WalkOptions = {},
): AsyncGenerator<TreeEntry, void, void> {
  yield* walk(path, { options, reached: new Set() });
}

async function* walk(path: string, state: Walk): AsyncGenerator<TreeEntry, void, void> {
  const { options, reached } = state;
  if (options.stop?.aborted === true) return;
  const stat = look(path, false, options);
  if (stat === undefined) return;
  yield { path, kind: kindOf(stat), stat };
  if (stat.isDirectory()) {
    if (options.followLinks === true) reached.add(identity(stat));
    yield* below(path, state);
  } else if (stat.isSymbolicLink() && options.followLinks === true) {
    const target = look(path, true, options);
    if (target === undefined) return;
    if (!target.isDirectory()) {
      yield { path, kind: kindOf(target), stat: target };
    } else if (!reached.has(identity(target))) {
      reached.add(identity(target));
      yield { path, kind: 'directory', stat: target };
      yield* below(path, state);
    }
  }
}

async function* below(path: string, state: Walk): AsyncGenerator<TreeEntry, void, void> {
  for (const name of await namesIn(path, state.options)) yield* walk(join(path, name), state);
}

async function namesIn(path: string, options: WalkOptions): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(path, { bufferSize: 256 })) {
      if (options.stop?.aborted === true) return [];
      names.push(entry.name);
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') options.unreadable?.(path, error);
  }
  return names.sort((one, other) => (one < other ? -1 : 1));
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
