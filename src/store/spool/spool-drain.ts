import { readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError, PermanentError, RetryableError, systemCode } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { type SegmentName, listSegments } from './spool-names.js';
import { type SpoolEntry, type SpooledPost, decodeSegment } from './spool-segment.js';
import { segmentSize } from './spool-writer.js';

export interface DrainOptions {
  /**
   * Resolves when the broker has confirmed the post. It is called in order, without waiting for the answer. What it
   * throws ends the draining, except for a PermanentError with code 417: then the post itself is at fault.
   */
  readonly send: (post: SpooledPost) => Promise<unknown>;
  /** Milliseconds after which a post is given up; 0 for never. */
  readonly ttl: number;
  readonly now: () => number;
  readonly logger: Logger;
  readonly stop: AbortSignal;
}

/** What became of the posts in a spool. */
export interface Drained {
  readonly posted: number;
  /** Too old: dropped, and said. */
  readonly expired: number;
  /** Files kept apart, because they are damaged or hold what no broker takes. */
  readonly apart: number;
  /** Another process is draining. */
  readonly busy: boolean;
}

/** A post that is refused for what it is. */
const malformed = 417;
/** Milliseconds after which a file that was never finished has no writer any more. */
const abandonedAfter = 86_400_000;

interface Self extends DrainOptions {
  readonly directory: string;
  readonly counts: { posted: number; expired: number; apart: number };
  failure: Error | undefined;
}

const errorOf = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** What is sent of a post that has waited; undefined when it has waited too long. */
function stillWanted({ post, at }: SpoolEntry, { ttl, now }: Self): SpooledPost | undefined {
  const age = Math.max(0, now() - at);
  if (ttl > 0 && age >= ttl) return undefined;
  if (post.expiration === undefined) return post;
  return age >= post.expiration ? undefined : { ...post, expiration: post.expiration - age };
}

/** Reads a segment; undefined when somebody has removed it meanwhile, or it cannot be read: then that is the failure. */
async function readSegment(self: Self, { name }: SegmentName): Promise<Buffer | undefined> {
  try {
    return await readFile(join(self.directory, name));
  } catch (thrown) {
    // Not thrown: the lock is ours until everything that was sent before has been answered.
    if (systemCode(thrown) !== 'ENOENT') self.failure ??= errorOf(thrown);
    return undefined;
  }
}

/** Sends what is in a segment; the answer is whether all of it has come to an end, and how the file is to be kept. */
async function sendAll(
  self: Self,
  segment: SegmentName,
  data: Buffer,
): Promise<{ readonly ended: boolean; readonly keep?: 'damaged' | 'refused' }> {
  const { entries, damaged } = decodeSegment(data);
  let expired = 0;
  let refused = 0;
  let posted = 0;
  const one = async (entry: SpoolEntry): Promise<boolean> => {
    const post = stillWanted(entry, self);
    if (post === undefined) {
      expired += 1;
      return true;
    }
    try {
      await self.send(post);
      posted += 1;
      return true;
    } catch (thrown) {
      if (thrown instanceof PermanentError && thrown.code === malformed) {
        refused += 1;
        self.logger.error(`a post in the spool can never be posted: ${thrown.message}`);
        return true;
      }
      self.failure ??= errorOf(thrown);
      return false;
    }
  };
  const ended = (await Promise.all(entries.map(one))).every(Boolean);
  self.counts.posted += posted;
  if (!ended) return { ended };
  self.counts.expired += expired;
  if (expired > 0) {
    const [first] = entries;
    const since = first === undefined ? '' : ` since ${new Date(first.at).toISOString()}`;
    self.logger.error(
      `${expired} posts in the spool${since} waited longer than retry_ttl or message_ttl allow: given up, not posted`,
    );
  }
  if (damaged || entries.length !== segment.count) return { ended, keep: 'damaged' };
  return refused > 0 ? { ended, keep: 'refused' } : { ended };
}

/** Removes what is done with, or keeps the file apart for somebody to look at. */
async function leave(
  self: Self,
  { name }: SegmentName,
  keep: 'damaged' | 'refused' | undefined,
): Promise<void> {
  const path = join(self.directory, name);
  if (keep === undefined) {
    await rm(path, { force: true });
    return;
  }
  await rename(path, `${path}.${keep}`);
  self.counts.apart += 1;
  if (keep === 'damaged')
    self.logger.warning(
      `${path} is damaged: what could be read was posted, the file is kept as ${name}.${keep}`,
    );
  else self.logger.warning(`${path} holds what no broker takes; the file is kept as ${name}.${keep}`);
}

/**
 * Sends these segments in order, with so many posts unconfirmed at most as one segment holds. A segment leaves after
 * those before it, so what comes again after a kill, comes again in order.
 */
async function drainListed(self: Self, segments: readonly SegmentName[]): Promise<void> {
  const open = new Set<Promise<void>>();
  let unconfirmed = 0;
  let before: Promise<boolean> = Promise.resolve(true);
  const begin = (segment: SegmentName, data: Buffer): void => {
    const earlier = before;
    unconfirmed += segment.count;
    const sent = sendAll(self, segment, data);
    before = (async () => {
      const { ended, keep } = await sent;
      unconfirmed -= segment.count;
      if (!(await earlier) || !ended) return false;
      await leave(self, segment, keep);
      return true;
    })().catch((thrown: unknown) => {
      self.failure ??= errorOf(thrown);
      return false;
    });
    const work = before.then(() => void open.delete(work));
    open.add(work);
  };
  for (const segment of segments) {
    while (unconfirmed > 0 && unconfirmed + segment.count > segmentSize) await Promise.race(open);
    if (self.stop.aborted || self.failure !== undefined) break;
    const data = await readSegment(self, segment);
    if (data !== undefined) begin(segment, data);
  }
  await Promise.all(open);
}

/** Files that a process was writing when it died: nobody was told that they are safe. */
async function removeAbandoned({ directory, now }: Self): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.tmp')) continue;
    const path = join(directory, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && now() - found.mtimeMs > abandonedAfter) await rm(path, { force: true });
  }
}

/** A lock that its process cannot outlive: the kernel takes it back. Undefined while another process has it. */
async function takeLock(directory: string): Promise<(() => Promise<void>) | undefined> {
  // Only who has something to drain loads the library.
  const { openLevelEngine } = await import('../engine/level-engine.js');
  const lock = join(directory, 'lock');
  try {
    return (await openLevelEngine(lock, false))?.close;
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    throw new RetryableError(`the spool ${directory} cannot be locked; if ${lock} is damaged, remove it`, {
      cause: thrown,
    });
  }
}

/**
 * Posts what waits, until nothing does or `stop` is aborted. One process drains at a time. Whoever spools and then
 * finds another one draining may leave: after giving the lock back, the other looks once more.
 *
 * @throws what `send` threw, or the system's error for the directory.
 */
export async function drainSpool(directory: string, options: DrainOptions): Promise<Drained> {
  const self: Self = {
    ...options,
    directory,
    counts: { posted: 0, expired: 0, apart: 0 },
    failure: undefined,
  };
  const isOver = (): boolean => self.stop.aborted || self.failure !== undefined;
  let busy = false;
  while (!isOver() && !busy && (await listSegments(directory)).length > 0) {
    const unlock = await takeLock(directory);
    busy = unlock === undefined;
    if (unlock === undefined) break;
    try {
      await removeAbandoned(self);
      for (;;) {
        const segments = await listSegments(directory);
        if (segments.length === 0 || isOver()) break;
        await drainListed(self, segments);
      }
    } finally {
      await unlock();
    }
  }
  if (self.failure !== undefined && !self.stop.aborted) throw self.failure;
  return { ...self.counts, busy };
}
