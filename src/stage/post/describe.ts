import { readlinkSync, type Stats } from 'node:fs';
import { basename } from 'node:path';
import { PermanentError, RetryableError } from '../../errors.js';
import type { Described, Found } from '../../flow/posted.js';
import { dropped } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import type { Announcement, Change } from '../../message/announcement.js';
import { parsePartName } from '../../message/parts.js';
import { formatPubTime } from '../../message/pub-time.js';
import { encodeRelPath } from '../../message/rel-path.js';
import { topicOf } from '../../message/topic.js';
import type { HeaderChanges } from '../door/admit.js';
import type { Event } from '../choose/events.js';

export interface DescribeOptions {
  /** Base URLs, taken in turns; `file:` for files of this machine. */
  readonly baseUrls: readonly string[];
  /** Removed from the front of announced paths; undefined announces the whole path. */
  readonly baseDir: string | undefined;
  /** The path that is announced for a local one, where it is not that below the base directory. */
  readonly announced?: ((path: string) => string) | undefined;
  readonly topicPrefix: string;
  /** Replaces the part of the topic that comes from the path. */
  readonly subtopic: string | undefined;
  readonly events: readonly Event[];
  /** Headers with a fixed value: to_clusters, from_cluster, source, flow. */
  readonly identity: Readonly<Record<string, string | undefined>>;
  readonly headers: HeaderChanges;
  /** The `rename` option; a trailing slash appends the file name. */
  readonly rename: string | undefined;
  /** Leading directories dropped from the path in the `rename` header. */
  readonly strip: ((relPath: string) => string) | undefined;
  readonly preserveMode: boolean;
  readonly preserveTime: boolean;
  readonly now: () => number;
  readonly warn: (text: string) => void;
}

/** Gives what was found its name for the world: base URL, path, topic and headers. No byte of it is read. */
export function describe(options: DescribeOptions): Stage<Found, Pick<Described, 'draft'>> {
  let turn = 0;
  return {
    name: 'describe',
    run: (item) => {
      if (!isWanted(item, options.events)) return dropped('events');
      const path = options.announced?.(item.path) ?? announcedPath(item.path, options.baseDir);
      const relPath = encodeRelPath(path);
      const { topic, truncated } = topicFor(path, options);
      if (truncated) options.warn(`the topic of ${path} is too long and was cut`);
      const baseUrl = options.baseUrls[turn % options.baseUrls.length] ?? 'file:';
      turn += 1;
      const draft: Announcement = {
        topic,
        pubTime: formatPubTime(options.now()),
        baseUrl: baseUrl.startsWith('file:') ? 'file:' : baseUrl,
        relPath,
        change: changeOf(item),
        headers: headersOf(item, path, options),
        ...movedOf(item, options.baseDir),
      };
      return { draft };
    },
  };
}

/** The same for another version of the file than the one that was found; `instant` in milliseconds since 1970. */
export function redescribe(item: Described, now: Stats, instant: number): Described {
  const { draft, stat } = item;
  const headers = new Map(draft.headers);
  const renew = (name: string, of: (stat: NonNullable<Found['stat']>) => string): void => {
    // One that somebody else has set stays.
    if (stat !== undefined && headers.get(name) === of(stat)) headers.set(name, of(now));
  };
  renew('mtime', ({ mtimeMs }) => formatPubTime(mtimeMs));
  renew('atime', ({ atimeMs }) => formatPubTime(atimeMs));
  renew('mode', ({ mode }) => modeText(mode));
  return { ...item, stat: now, draft: { ...draft, pubTime: formatPubTime(instant), headers } };
}

const modeText = (mode: number): string => (mode & 0o7777).toString(8);

function isWanted(item: Found, events: readonly Event[]): boolean {
  if (item.kind === 'removed') return events.includes('delete');
  if (item.kind === 'link') return events.includes('link');
  return events.includes('create') || events.includes('modify');
}

/** The path below the base directory, with a leading slash. */
function announcedPath(path: string, baseDir: string | undefined): string {
  if (baseDir === undefined || baseDir === '/') return path;
  const root = baseDir.replace(/\/+$/, '');
  if (path.startsWith(`${root}/`)) return path.slice(root.length);
  throw new PermanentError(
    400,
    `${path} is not below post_base_dir ${baseDir}: it cannot be announced from there`,
  );
}

const topicFor = (path: string, options: DescribeOptions): ReturnType<typeof topicOf> =>
  options.subtopic === undefined
    ? topicOf(options.topicPrefix, path)
    : { topic: `${options.topicPrefix}.${options.subtopic}`, truncated: false };

function changeOf(item: Found): Change {
  if (item.kind === 'removed') return { kind: 'remove' };
  if (item.kind === 'file') return { kind: 'write', parts: undefined, sum: undefined };
  try {
    return { kind: 'link', to: readlinkSync(item.path) };
  } catch (cause) {
    throw new RetryableError(`cannot read the link ${item.path}`, { cause });
  }
}

function movedOf({ moved }: Found, baseDir: string | undefined): Pick<Announcement, 'moved'> {
  if (moved === undefined) return {};
  const { from, to } = moved;
  return {
    moved: {
      ...(from !== undefined && { from: announcedPath(from, baseDir) }),
      ...(to !== undefined && { to: announcedPath(to, baseDir) }),
    },
  };
}

function headersOf(item: Found, path: string, options: DescribeOptions): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(options.identity))
    if (value !== undefined) headers.set(name, value);
  const rename = renameFor(path, options);
  if (rename !== undefined) headers.set('rename', rename);
  if (item.kind === 'file' && item.stat !== undefined) {
    const { mtimeMs, atimeMs, mode } = item.stat;
    if (options.preserveTime) {
      headers.set('mtime', formatPubTime(mtimeMs));
      headers.set('atime', formatPubTime(atimeMs));
    }
    if (options.preserveMode) headers.set('mode', modeText(mode));
  }
  for (const [name, value] of options.headers.set) if (!headers.has(name)) headers.set(name, value);
  for (const name of options.headers.remove) headers.delete(name);
  return headers;
}

function renameFor(path: string, { rename, strip }: DescribeOptions): string | undefined {
  if (rename === undefined) return strip?.(path);
  if (rename.endsWith('/')) return rename + basename(path);
  const name = basename(path);
  const part = parsePartName(name);
  // A stored block keeps its suffix under every name.
  return part === undefined ? rename : rename + name.slice(part.target.length);
}
