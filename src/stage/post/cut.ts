import type { FileHandle } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import type { ContentAlgorithm } from '../../checksum/algorithms.js';
import { digestOfRange } from '../../checksum/block-digest.js';
import type { FileState } from '../../checksum/read-thread.js';
import { PermanentError, RetryableError } from '../../errors.js';
import type { Described, Ready } from '../../flow/posted.js';
import type { Logger } from '../../logger.js';
import {
  blockLength,
  blockOf,
  blockOffset,
  chooseBlockSize,
  layOut,
  type Parts,
} from '../../message/parts.js';
import type { Sum } from '../../message/sum.js';
import { mostBlocks } from '../../message/generation.js';
import { redescribe } from './describe.js';
import { inTurn } from './in-turn.js';
import { isStillThere, isUnchanged, openSteady } from './steady.js';
import { createToldSums, type ToldSums } from './told-sums.js';

/** Times a file that changes while it is read is begun again. */
export const READS = 3;

export interface CutOptions {
  /** The `blocksize` option: 0 chooses, 1 is the whole file. */
  readonly blockSize: number;
  readonly followLinks: boolean;
  /** Announce the blocks in random order. */
  readonly randomize: boolean;
  readonly now: () => number;
  readonly logger: Logger;
}

/** The blocks of a file of `size` bytes; one block is the whole file. */
export function layoutOf(path: string, size: number, blockSize: number): Parts {
  const layout = layOut(size, chooseBlockSize(size, blockSize));
  refuseMany(path, layout);
  return layout;
}

/** Refuses what receivers would refuse. */
export function refuseMany(path: string, { count, blockSize }: Parts): void {
  if (count <= mostBlocks) return;
  const blocks = `${count} blocks of ${blockSize} bytes, and receivers take ${mostBlocks} at most`;
  throw new PermanentError(417, `${path} would be announced in ${blocks}: write a larger blocksize`);
}

/** What is announced of one block. */
export function readyOf(item: Described, parts: Parts, sum: Sum): Ready {
  const next = { ...item.draft, change: { kind: 'write' as const, parts, sum } };
  return { ...item, subject: next, next };
}

/** The blocks of a file that is not read. */
export function* unread(
  item: Described,
  layout: Parts,
  give: () => Sum,
  randomize: boolean,
): Generator<Ready, void, void> {
  for (const number of numbersOf(0, layout.count, randomize))
    yield readyOf(item, blockOf(layout, number), give());
}

/**
 * Announces a file block by block, each as soon as it has been read. A file that changes meanwhile becomes another
 * version, and all of it is announced: receivers must not put two versions together. The first block that differs
 * from what was told comes first, so that they know at once.
 */
export async function* cut(
  item: Described,
  algorithm: ContentAlgorithm,
  options: CutOptions,
  stop: AbortSignal,
): AsyncGenerator<Ready, void, void> {
  const { path } = item;
  let told: Told = { blockSize: 0, sums: createToldSums() };
  let instant = 0;
  for (let read = 1; read <= READS; read += 1) {
    const { file, stat } = await openSteady(path, options.followLinks);
    try {
      instant = Math.max(options.now(), instant + 1);
      const isAsFound = read === 1 && item.stat !== undefined && isUnchanged(item.stat, stat);
      const layout = layoutOf(path, stat.size, options.blockSize);
      if (told.blockSize !== layout.blockSize) told = { blockSize: layout.blockSize, sums: createToldSums() };
      const version = { item: isAsFound ? item : redescribe(item, stat, instant), file, stat, layout };
      if (yield* announced(version, algorithm, told, options, stop)) return;
    } finally {
      await file.close();
    }
    if (read < READS)
      options.logger.warning(
        `${path} changed while it was read: posted again, its first changed block first`,
      );
  }
  throw new RetryableError(`${path} changes while it is read: post it when it is complete`);
}

/** What has been announced of earlier versions. */
interface Told {
  readonly blockSize: number;
  readonly sums: ToldSums;
}

interface Version {
  readonly item: Described;
  readonly file: FileHandle;
  readonly stat: Stats;
  readonly layout: Parts;
}

/** Announces one version; false when it has changed before its last block was told. */
async function* announced(
  { item, file, stat, layout }: Version,
  algorithm: ContentAlgorithm,
  { sums }: Told,
  { randomize, followLinks }: CutOptions,
  stop: AbortSignal,
): AsyncGenerator<Ready, boolean, void> {
  const read = (number: number, over: AbortSignal) =>
    readBlock(file, algorithm, blockOf(layout, number), over);
  let unchanged = 0;
  for await (const { parts, value, isWhole, after } of inTurn(
    numbersOf(0, layout.count, randomize),
    read,
    stop,
  )) {
    const isThere = after.nlink > 0 || stat.nlink === 0;
    if (!isWhole || !isThere || !isUnchanged(stat, after)) return false;
    if (!randomize && parts.number === unchanged && sums.get(unchanged) === value) {
      unchanged += 1;
      continue;
    }
    sums.set(parts.number, value);
    yield readyOf(item, parts, { algorithm, value });
  }
  for (let number = 0; number < unchanged; number += 1)
    yield readyOf(item, blockOf(layout, number), { algorithm, value: sums.get(number) ?? '' });
  return isStillThere(item.path, stat, followLinks);
}

/** A block as it was read. */
interface Block {
  readonly parts: Parts;
  readonly value: string;
  /** Whether the file was long enough. */
  readonly isWhole: boolean;
  readonly after: FileState;
}

export async function readBlock(
  file: FileHandle,
  algorithm: ContentAlgorithm,
  parts: Parts,
  stop: AbortSignal,
): Promise<Block> {
  const length = blockLength(parts);
  const { value, size, after } = await digestOfRange(file, algorithm, {
    offset: blockOffset(parts),
    length,
    stop,
  });
  return { parts, value, isWhole: size === length, after };
}

/** The numbers of the blocks from the first to the one before `end`. */
export function* numbersOf(first: number, end: number, randomize: boolean): Generator<number, void, void> {
  if (!randomize) {
    for (let number = first; number < end; number += 1) yield number;
    return;
  }
  const numbers = Uint32Array.from({ length: end - first }, (_, index) => first + index);
  for (let left = numbers.length; left > 0; left -= 1) {
    const chosen = Math.floor(Math.random() * left);
    yield numbers[chosen] as number;
    numbers[chosen] = numbers[left - 1] as number;
  }
}
