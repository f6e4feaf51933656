import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RetryableError, messageOf, systemCode } from '../../errors.js';
import { segmentName, writerName } from './spool-names.js';
import { type SpooledPost, encodeEntry } from './spool-segment.js';
import { syncWayTo } from '../engine/sync-directory.js';

/** Posts in one segment at most: what may come twice when whoever drains is killed. */
export const segmentSize = 500;
const segmentBytes = 8 * 1024 * 1024;

export interface WriterOptions {
  readonly directory: string;
  /** For people who find the directory: what the posts wait for. */
  readonly destination: string;
  /** Survive a loss of power, too. */
  readonly flush: boolean;
  readonly now: () => number;
}

export interface SpoolWriter {
  /** Resolves when the post is on disk. Throws RetryableError when it cannot be kept. */
  readonly append: (post: SpooledPost) => Promise<void>;
  /** Resolves when nothing is being written. */
  readonly idle: () => Promise<void>;
}

interface Waiting {
  readonly data: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes it, for us alone, and with `flush` every entry that leads to it durable. */
async function makeDirectory({ directory, destination, flush }: WriterOptions): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  if (first !== undefined)
    await writeFile(join(directory, 'destination'), `${destination}\n`, { mode: 0o600 });
  // Whoever made it may have been killed before it came to this.
  if (flush) syncWayTo(directory);
}

/** What fits into one segment. */
function take(queue: Waiting[]): readonly Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const { data } of queue) {
    if (count === segmentSize || (count > 0 && bytes + data.length > segmentBytes)) break;
    count += 1;
    bytes += data.length;
  }
  return queue.splice(0, count);
}

/** Keeps posts of this process. What is handed over while a segment is being written goes into the next one together. */
export function openSpoolWriter(options: WriterOptions): SpoolWriter {
  const { directory, flush, now } = options;
  const writer = writerName(performance.timeOrigin, randomBytes(4).toString('hex'));
  const queue: Waiting[] = [];
  let number = 0;
  let isMade = false;
  let working: Promise<void> | undefined;

  const put = async (name: string, data: Buffer): Promise<void> => {
    if (!isMade) await makeDirectory(options);
    isMade = true;
    const hidden = join(directory, `.${name}.tmp`);
    try {
      await writeFile(hidden, data, { flag: 'wx', mode: 0o600, flush });
      await rename(hidden, join(directory, name));
    } catch (thrown) {
      await rm(hidden, { force: true }).catch(() => undefined);
      throw thrown;
    }
    if (flush) await syncDirectory(directory);
  };

  const write = async (batch: readonly Waiting[]): Promise<void> => {
    const name = segmentName(writer, number, batch.length);
    const data = Buffer.concat(batch.map((one) => one.data));
    number += 1;
    try {
      await put(name, data).catch(async (thrown: unknown) => {
        // Somebody has cleaned up.
        if (systemCode(thrown) !== 'ENOENT') throw thrown;
        isMade = false;
        await put(name, data);
      });
      for (const { resolve } of batch) resolve();
    } catch (thrown) {
      for (const { reject } of batch) reject(unkept(directory, thrown));
    }
  };

  const work = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (queue.length > 0) await write(take(queue));
    working = undefined;
  };

  return {
    append: (post) =>
      new Promise((resolve, reject) => {
        queue.push({ data: encodeEntry({ post, at: now() }), resolve, reject });
        working ??= work();
      }),
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}

const isFull = (thrown: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(systemCode(thrown) ?? '');

const unkept = (directory: string, cause: unknown): RetryableError =>
  new RetryableError(
    `neither confirmed by the broker nor kept in the spool ${directory}: ${
      isFull(cause) ? 'the disk is full; make room' : messageOf(cause)
    }, and post it again`,
    { cause },
  );
