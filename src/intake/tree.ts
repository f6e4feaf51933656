import { existsSync, lstatSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { PermanentError, RetryableError, messageOf, systemCode } from '../errors.js';
import { type TreeEntry, walkTree } from '../file/tree.js';
import type { Found } from '../flow/posted.js';
import type { Intake } from '../flow/stage.js';
import { type Inflight, unfinished } from './unfinished.js';

export interface TreeOptions {
  /** Absolute paths of files and trees, in the order they were given; read lazily. */
  readonly paths: AsyncIterable<string> | Iterable<string>;
  /** A path that is gone is announced as removed; otherwise it is a failure. */
  readonly removals: boolean;
  readonly followLinks: boolean;
  /** Announce paths free of links. */
  readonly realPaths: boolean;
  /** A rename to announce after the paths: from, to (absolute; `to` exists). */
  readonly move: readonly [string, string] | undefined;
  /** Files that are still being written are left out, or told as unreadable while they are too young. */
  readonly inflight?: Inflight;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Told of what could not be read: the walk goes on, the program fails in the end. */
  readonly unreadable: (path: string, why: unknown) => void;
}

/** The intake of sr_post: walks what it was given, depth first, with memory bounded by the depth. */
export function tree(options: TreeOptions): Intake<Found> {
  return {
    name: 'tree',
    async *items(stop) {
      for await (const path of options.paths) {
        if (stop.aborted) return;
        yield* found(path, options, stop);
      }
      if (options.move !== undefined) yield* renamed(options.move, options, stop);
    },
  };
}

async function* found(path: string, options: TreeOptions, stop: AbortSignal): AsyncIterable<Found> {
  const start = await startOf(path, options);
  if (start === undefined) return;
  if (start === 'gone') {
    if (options.removals) yield { path, kind: 'removed' };
    else {
      const remedy = 'To announce that it was removed, use --events delete';
      options.unreadable(path, new PermanentError(404, `${path}: no such file. ${remedy}`));
    }
    return;
  }
  const { followLinks, unreadable } = options;
  for await (const entry of walkTree(start, { followLinks, unreadable, stop })) {
    const item = foundOf(entry);
    if (item !== undefined && isComplete(entry, options)) yield item;
  }
}

function isComplete(
  { path, kind, stat }: TreeEntry,
  { inflight, now = Date.now, unreadable }: TreeOptions,
): boolean {
  const why = kind === 'file' ? unfinished(path, stat, inflight, now()) : undefined;
  if (why === 'young') {
    const age = `it changed less than ${inflight ?? 0} seconds ago`;
    unreadable(path, new RetryableError(`${age}: post it when it is complete, or lower inflight`));
  }
  return why === undefined;
}

/** Where the walk begins; undefined for what cannot be looked at, after telling. */
async function startOf(path: string, options: TreeOptions): Promise<string | undefined> {
  try {
    const entry = lstatSync(path);
    // A link that leads nowhere has no other path than its own.
    const isDangling = entry.isSymbolicLink() && !existsSync(path);
    return options.realPaths && !isDangling ? await realpath(path) : path;
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'gone';
    options.unreadable(
      path,
      new RetryableError(`cannot look at ${path}: ${code ?? messageOf(cause)}`, { cause }),
    );
    return undefined;
  }
}

function foundOf(entry: TreeEntry): Found | undefined {
  // Password files of web servers are never announced.
  if (basename(entry.path).startsWith('.ht')) return undefined;
  if (entry.kind === 'file') return { path: entry.path, kind: 'file', stat: entry.stat };
  if (entry.kind === 'link') return { path: entry.path, kind: 'link' };
  return undefined;
}

/**
 * A rename is two posts: the old path removed, naming the new one, then the new path, naming the old one. For a
 * directory: the pair for each entry, then the removal of each directory, deepest first.
 */
async function* renamed(
  [from, to]: readonly [string, string],
  options: TreeOptions,
  stop: AbortSignal,
): AsyncIterable<Found> {
  if (!existsSync(to)) {
    options.unreadable(
      to,
      new PermanentError(404, `${to}: no such file: rename it first, then announce that`),
    );
    return;
  }
  const directories: string[] = [];
  for await (const entry of walkTree(to, { unreadable: options.unreadable, stop })) {
    const below = relative(to, entry.path);
    const old = below === '' ? from : join(from, below);
    if (entry.kind === 'directory') {
      directories.push(below);
      continue;
    }
    const item = foundOf(entry);
    if (item === undefined) continue;
    yield { path: old, kind: 'removed', moved: { to: entry.path } };
    yield { ...item, moved: { from: old } };
  }
  for (const below of directories.reverse()) {
    yield { path: join(from, below), kind: 'removed', moved: { to: join(to, below) } };
  }
}
