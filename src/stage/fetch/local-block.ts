import type { FileHandle } from 'node:fs/promises';
import { contentAlgorithm } from '../../checksum/algorithms.js';
import { digestOfFile } from '../../checksum/block-digest.js';
import { RetryableError } from '../../errors.js';
import { flushWritten } from '../../file/flush.js';
import type { Root } from '../../file/inside.js';
import { openInside, statInside } from '../../file/look.js';
import { mayBeWritten, readRange } from '../../file/read-range.js';
import type { Assembly, BlockInHand, Compared, Placed } from '../../flow/item.js';
import { blockLength, blockOffset } from '../../message/parts.js';
import type { Sum } from '../../message/sum.js';
import { attributesOf, type AttributeOptions } from './attributes.js';
import { openBlock } from './open-block.js';
import { takeBlock } from './take-block.js';
import { relativeTo } from '../place/target.js';

export interface LocalBlockOptions extends AttributeOptions {
  readonly directoryMode: number | undefined;
  readonly flush: boolean;
}

/**
 * Looks for the bytes of a missing block on this disk, before they are fetched: a process that died may have left them in
 * their place, and the version of the file that stands here may have them, too. These are copied to their place.
 */
export async function findBlock(
  item: Placed & { readonly block: BlockInHand; readonly assembly: Assembly },
  root: Root,
  options: LocalBlockOptions,
  stop: AbortSignal,
): Promise<Pick<Compared, 'present' | 'isLeft'>> {
  const { assembly, block, subject, repeated } = item;
  const sum = subject.change.kind === 'write' ? subject.change.sum : undefined;
  const algorithm = sum?.algorithm === 'z' ? undefined : contentAlgorithm(sum);
  if (sum === undefined || algorithm === undefined) return { present: false };
  const [offset, length] = [blockOffset(assembly.parts), blockLength(assembly.parts)];
  const range: Range = { sum, offset, length, stop };
  if (repeated && (await hasRange(root, block.file, range))) return { present: false, isLeft: true };
  const path = relativeTo(item.target);
  const there = statInside(root, path);
  if (there === undefined || !there.isFile() || there.size < offset + length) return { present: false };
  if (assembly.storage === 'inplace') {
    const present = await hasRange(root, path, range);
    // Whoever wrote it may have died before it was flushed.
    if (present && options.flush) await flushWritten(root, path);
    return { present };
  }
  return { present: await isCopied(item, root, path, range, options) };
}

interface Range {
  readonly sum: Sum;
  readonly offset: number;
  readonly length: number;
  readonly stop: AbortSignal;
}

/** What cannot be read is not there: it is to be fetched. */
async function reading(
  root: Root,
  path: string,
  stop: AbortSignal,
  look: (file: FileHandle) => Promise<boolean>,
): Promise<boolean> {
  try {
    const file = await openInside(root, path);
    try {
      return await look(file);
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (stop.aborted || !(thrown instanceof RetryableError)) throw thrown;
    return false;
  }
}

/** Whether the bytes of a range have the sum. */
export const hasRange = (
  root: Root,
  path: string,
  { sum, offset, length, stop }: Range,
): Promise<boolean> => {
  const algorithm = contentAlgorithm(sum);
  if (algorithm === undefined) return Promise.resolve(false);
  return reading(root, path, stop, async (file) => {
    if (!(await mayBeWritten(file, offset, length))) return false;
    const found = await digestOfFile(file, algorithm, { offset, length, stop });
    return found.size === length && found.value === sum.value;
  });
};

/** Copies the range to its place, and answers whether that was right: what is wrong there is overwritten by what is fetched. */
async function isCopied(
  item: Placed & { readonly block: BlockInHand },
  root: Root,
  path: string,
  { sum, offset, length, stop }: Range,
  options: LocalBlockOptions,
): Promise<boolean> {
  return reading(root, path, stop, async (file) => {
    const { mode } = attributesOf(item.subject, options);
    const into = await openBlock(
      root,
      item.block,
      { offset, mode, directoryMode: options.directoryMode },
      stop,
    );
    try {
      const refuse = (): void => {
        throw new RetryableError(`${path} has changed while it was read`);
      };
      const data = readRange(file, offset, length);
      const value = await takeBlock(data, into, contentAlgorithm(sum), length, refuse);
      if (value !== sum.value) return false;
      await into.finish(options.flush);
      return true;
    } finally {
      await into.close();
    }
  });
}
