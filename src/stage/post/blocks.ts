import { basename } from 'node:path';
import { digestOf, type ContentAlgorithm } from '../../checksum/algorithms.js';
import { digestOfRange } from '../../checksum/block-digest.js';
import { PermanentError, RetryableError } from '../../errors.js';
import { readSmall, smallFile } from '../../file/read-small.js';
import { createLanes } from '../../flow/lanes.js';
import type { Described, Ready } from '../../flow/posted.js';
import type { Fan } from '../../flow/stage.js';
import { blockLength, parsePartName, wholeFile, type PartName } from '../../message/parts.js';
import { READS, cut, layoutOf, readyOf, unread, type CutOptions } from './cut.js';
import { redescribe } from './describe.js';
import { type Following, follow, mayGrow } from './follow.js';
import { isUnchanged, openSteady } from './steady.js';
import { sumSource } from './sum-source.js';

/** Files open for reading at once: far below any limit on descriptors, and more than a disk can use. */
const READERS = 32;

export interface BlocksOptions extends CutOptions {
  /** Files that have changed lately are announced as they grow; undefined: as they are. */
  readonly following: Following | undefined;
  /** The `sum` option: a letter, `z,X`, or `a,VALUE`. */
  readonly sum: string;
}

/**
 * One announcement for each part of a found file: the whole of it, or its blocks; a file that is a stored block itself
 * is announced as that. Reads each file once. What has no content passes as it is.
 */
export function blocks(options: BlocksOptions): Fan<Described, Ready> {
  const lanes = createLanes(READERS);
  return {
    name: 'blocks',
    async *spread(item, stop) {
      if (item.draft.change.kind !== 'write') {
        yield { ...item, subject: item.draft, next: item.draft };
        return;
      }
      const { following } = options;
      const algorithm = following && growing(item, options, following);
      if (following !== undefined && algorithm !== undefined) {
        yield* follow(item, algorithm, { ...options, following }, lanes, stop);
        return;
      }
      await lanes.enter();
      try {
        const whole = await readWhole(item, options, stop);
        if (whole !== undefined) yield whole;
        else yield* inBlocks(item, options, stop);
      } finally {
        lanes.leave();
      }
    },
  };
}

/** How the sums of a file are computed that is to be followed; undefined for one that is announced as it is. */
function growing(
  item: Described,
  { sum, now }: BlocksOptions,
  following: Following,
): ContentAlgorithm | undefined {
  if (!mayGrow(item, following, now()) || storedBlock(item) !== undefined) return undefined;
  const source = sumSource(sum, item.path);
  return source.kind === 'content' ? source.algorithm : undefined;
}

/** A name that is meant to be one of a stored block. */
const LIKE_PART = /\.\d+\.\d+\.\d+\.\d+\.[^.]+\.Part$/;

/** What the name of a stored block says about it, when that agrees with the file. */
function storedBlock({ path, stat }: Described): PartName | undefined {
  const part = parsePartName(basename(path));
  if (part === undefined) {
    if (!LIKE_PART.test(path)) return undefined;
    throw new PermanentError(417, `${path}: the numbers in its name are not those of a block`);
  }
  const size = stat?.size ?? 0;
  const length = blockLength(part.parts);
  if (length === size) return part;
  throw new PermanentError(417, `${path}: ${size} bytes, but its name says ${length}`);
}

/** The announcement of a file that is announced as a whole; undefined for one that is cut into blocks. */
async function readWhole(
  item: Described,
  options: BlocksOptions,
  stop: AbortSignal,
): Promise<Ready | undefined> {
  const size = item.stat?.size ?? 0;
  const part = storedBlock(item);
  if (part === undefined && layoutOf(item.path, size, options.blockSize).count > 1) return undefined;
  const source = sumSource(part?.algorithm ?? options.sum, item.path);
  if (source.kind === 'given') return readyOf(item, part?.parts ?? wholeFile(size), source.give());
  const read = await readContent(item, source.algorithm, options, stop);
  const parts = part?.parts ?? wholeFile(read.size);
  if (blockLength(parts) !== read.size)
    throw new PermanentError(
      417,
      `${item.path}: ${read.size} bytes, but its name says ${blockLength(parts)}`,
    );
  return readyOf(read.item, parts, { algorithm: source.algorithm, value: read.value });
}

async function* inBlocks(
  item: Described,
  options: BlocksOptions,
  stop: AbortSignal,
): AsyncGenerator<Ready, void, void> {
  const source = sumSource(options.sum, item.path);
  if (source.kind === 'content') {
    yield* cut(item, source.algorithm, options, stop);
    return;
  }
  const layout = layoutOf(item.path, item.stat?.size ?? 0, options.blockSize);
  yield* unread(item, layout, source.give, options.randomize);
}

interface Content {
  /** Described as of the version that was read. */
  readonly item: Described;
  readonly value: string;
  readonly size: number;
}

async function readContent(
  item: Described,
  algorithm: ContentAlgorithm,
  { followLinks, now }: BlocksOptions,
  stop: AbortSignal,
): Promise<Content> {
  const small = stop.aborted ? undefined : readSteady(item, algorithm, followLinks);
  if (small !== undefined) return { item, value: small, size: item.stat?.size ?? 0 };
  for (let read = 0; read < READS; read += 1) {
    const { file, stat } = await openSteady(item.path, followLinks);
    try {
      const { value, size, after } = await digestOfRange(file, algorithm, {
        offset: 0,
        length: stat.size,
        stop,
      });
      if (size !== stat.size || !isUnchanged(stat, after)) continue;
      const isAsFound = item.stat !== undefined && isUnchanged(item.stat, stat);
      return { item: isAsFound ? item : redescribe(item, stat, now()), value, size };
    } finally {
      await file.close();
    }
  }
  throw new RetryableError(`${item.path} changes while it is read: post it when it is complete`);
}

/** The sum of a small file that has not changed since it was found. */
function readSteady(
  { path, stat }: Described,
  algorithm: ContentAlgorithm,
  followLinks: boolean,
): string | undefined {
  if (stat === undefined || stat.size > smallFile) return undefined;
  try {
    const read = readSmall(path, { followLinks });
    const isSteady = read !== undefined && isUnchanged(stat, read.stat);
    return isSteady ? digestOf(algorithm, read.data) : undefined;
  } catch {
    // The thorough way says what is wrong.
    return undefined;
  }
}
