import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  contentAlgorithm,
  digestOf,
  nameSum,
  randomSum,
  type ContentAlgorithm,
} from '../checksum/algorithms.js';
import { digestOfFile } from '../checksum/block-digest.js';
import { PermanentError, RetryableError } from '../errors.js';
import { readSmall, smallFile } from '../file/read-small.js';
import { createLanes } from '../flow/lanes.js';
import type { Described, Ready } from '../flow/posted.js';
import type { Fan } from '../flow/stage.js';
import { blockLength, chooseBlockSize, parsePartName, type Parts } from '../message/parts.js';
import type { Sum } from '../message/sum.js';

/** Files open for reading at once: far below any limit on descriptors, and more than a disk can use. */
const READERS = 32;

/** Times a file that changes while it is read is read again within one pass. */
const READS = 3;

export interface BlocksOptions {
  /** The `sum` option: a letter, `z,X`, or `a,VALUE`. */
  readonly sum: string;
  /** The `blocksize` option: 0 chooses, 1 is the whole file. What would be cut into blocks is refused so far. */
  readonly blockSize: number;
  /** Read what links lead to; otherwise a file that has become a link since it was found is not read. */
  readonly followLinks: boolean;
}

/**
 * One announcement for each part of a found file; whole files only so far, and files that are a stored block
 * themselves. Reads each file once. What has no content passes as it is.
 */
export function blocks(options: BlocksOptions): Fan<Described, Ready> {
  const readers = createLanes(READERS);
  return {
    name: 'blocks',
    async *spread(item, stop) {
      if (item.draft.change.kind !== 'write') {
        yield { ...item, subject: item.draft, next: item.draft };
        return;
      }
      await readers.enter();
      let measured: Measured;
      try {
        measured = await measure(item, options, stop);
      } finally {
        readers.leave();
      }
      const { parts, sum } = measured;
      const next = { ...item.draft, change: { kind: 'write' as const, parts, sum } };
      yield { ...item, subject: next, next };
    },
  };
}

interface Measured {
  readonly parts: Parts;
  readonly sum: Sum;
}

/** A name that is meant to be one of a stored block. */
const LIKE_PART = /\.\d+\.\d+\.\d+\.\d+\.[^.]+\.Part$/;

async function measure(item: Described, options: BlocksOptions, stop: AbortSignal): Promise<Measured> {
  const part = parsePartName(basename(item.path));
  if (part === undefined && LIKE_PART.test(item.path))
    throw new PermanentError(417, `${item.path}: the numbers in its name are not those of a block`);
  const size = item.stat?.size ?? 0;
  if (part !== undefined) {
    if (blockLength(part.parts) !== size) {
      throw new PermanentError(
        417,
        `${item.path}: ${size} bytes, but its name says ${blockLength(part.parts)}`,
      );
    }
    const { sum } = await readSum(item, part.algorithm, options, stop);
    return { parts: part.parts, sum };
  }
  if (chooseBlockSize(size, options.blockSize) < size) {
    const remedy = 'Only whole files are announced so far: write blocksize 1, or remove the line';
    throw new PermanentError(417, `${item.path}: ${size} bytes would be announced in blocks. ${remedy}`);
  }
  const read = await readSum(item, options.sum, options, stop);
  return { parts: { method: '1', blockSize: read.size, count: 1, remainder: 0, number: 0 }, sum: read.sum };
}

interface Read {
  readonly sum: Sum;
  readonly size: number;
}

/** The sum as the option asks for it, and the size of just the bytes it is about. */
async function readSum(
  { path, stat }: Described,
  wanted: string,
  { followLinks }: BlocksOptions,
  stop: AbortSignal,
): Promise<Read> {
  const size = stat?.size ?? 0;
  const [algorithm = 'd', value = ''] = wanted.split(/,(.*)/s);
  if (algorithm === '0') return { sum: randomSum(), size };
  if (algorithm === 'n') return { sum: nameSum(path), size };
  if (algorithm === 'z' || algorithm === 'a')
    return { sum: { algorithm, value: value === '' ? '0' : value }, size };
  const content = contentAlgorithm({ algorithm, value });
  if (content === undefined)
    throw new PermanentError(417, `${path}: no way to compute a sum of kind ${algorithm}`);
  const small = stat === undefined || stop.aborted ? undefined : readSteady(path, stat, content, followLinks);
  if (small !== undefined) return { sum: { algorithm, value: small }, size };
  for (let read = 0; read < READS; read += 1) {
    const file = await openSteady(path, followLinks);
    try {
      const before = await file.stat();
      const digest = await digestOfFile(file, content, { stop });
      if (isUnchanged(before, await file.stat()) && digest.size === before.size) {
        return { sum: { algorithm, value: digest.value }, size: digest.size };
      }
    } finally {
      await file.close();
    }
  }
  throw new RetryableError(`${path} changes while it is read: post it when it is complete`);
}

/** The sum of a small file that has not changed since it was found. */
function readSteady(
  path: string,
  found: Snapshot,
  algorithm: ContentAlgorithm,
  followLinks: boolean,
): string | undefined {
  if (found.size > smallFile) return undefined;
  try {
    const read = readSmall(path, { followLinks });
    const isSteady = read !== undefined && isUnchanged(found, read.stat);
    return isSteady ? digestOf(algorithm, read.data) : undefined;
  } catch {
    // The thorough way says what is wrong.
    return undefined;
  }
}

async function openSteady(path: string, followLinks: boolean): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    return await open(path, followLinks ? flags : flags | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new RetryableError(`cannot read ${path}`, { cause });
  }
}

type Snapshot = Pick<Stats, 'size' | 'mtimeMs'>;

const isUnchanged = (before: Snapshot, after: Snapshot): boolean =>
  before.size === after.size && before.mtimeMs === after.mtimeMs;
