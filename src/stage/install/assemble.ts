import { contentAlgorithm } from '../../checksum/algorithms.js';
import { digestOfFile } from '../../checksum/block-digest.js';
import { finishAssembled, nameAssembled } from '../../file/assembling.js';
import { removeInside } from '../../file/change.js';
import { flushEntry, flushFileInside } from '../../file/flush.js';
import type { Root } from '../../file/inside.js';
import { openInside, statInside } from '../../file/look.js';
import { isSameFile } from '../../file/same-file.js';
import type { Gathered } from '../../flow/item.js';
import type { Sum } from '../../message/sum.js';
import type { Assemblies } from '../../store/store.js';
import type { Transports } from '../../transport/transport.js';
import { ledgerSum, sumOfLedger } from './announced-block.js';
import { attributesOf } from '../fetch/attributes.js';
import type { FetchOptions } from '../fetch/fetch-job.js';
import type { Assemble, Gain } from './install.js';
import { type BlockItem, mend } from './mend.js';
import { relativeTo } from '../place/target.js';

export interface AssembleOptions extends FetchOptions {
  /** Somebody hears of the file when it is whole: its sum is needed. */
  readonly isTold: boolean;
}

/** Noted before the file ends because what stands at the target is the same to the last byte. */
const SAME = 'same';

/**
 * Counts a block as being in its place. Whoever is told that it was the last one makes the file: looks again at what may
 * not be what it was, gives the file its size and attributes, and renames it over the target. What it is about to do is
 * noted before, so that whoever gets the message next, when it dies in the middle, knows what has been done.
 */
export function assembler(
  assemblies: Assemblies,
  transports: Transports,
  options: AssembleOptions,
): Assemble {
  return async (item, root, stop) => {
    const { assembly, block, target, result } = item;
    const { key } = assembly.generation;
    const count = (): Promise<Gathered> => assemblies.placed(target.path, key, assembly.parts.number);
    const lack = (blocks: readonly number[], reason: string): Promise<void> =>
      assemblies.lack(target.path, key, blocks, reason);
    const counted = block.placed ?? (await count());
    const gathered = counted.complete
      ? await mend(item, counted, { root, transports, options, count, lack }, stop)
      : counted;
    if (!gathered.complete) return { path: target.path, gathered, complete: false, result };
    if (statInside(root, block.file) === undefined) return goneOn(item, gathered, root, options, stop);
    const note = (text: string | undefined): Promise<void> => assemblies.installing(target.path, key, text);
    return made(item, gathered, root, { ...options, note }, stop);
  };
}

const sameGain = ({ target }: BlockItem, gathered: Gathered): Gain => ({
  path: target.path,
  gathered,
  complete: false,
  endsAssembly: true,
  result: { code: 304, text: 'Not modified' },
});

/** Makes the file of its blocks, all of which are in their place. */
async function made(
  item: BlockItem,
  gathered: Gathered,
  root: Root,
  options: AssembleOptions & { readonly note: (text: string | undefined) => Promise<void> },
  stop: AbortSignal,
): Promise<Gain> {
  const { assembly, block, target, subject, result } = item;
  const { size } = gathered;
  const { flush, directoryMode, note } = options;
  const own = relativeTo(target);
  // Only where this block was found in it can the file be the one that stands there.
  const mayBeSame =
    assembly.storage === 'hidden' && item.present && block.placed === undefined && !item.repeated;
  if (mayBeSame && (await isSameFile(root, block.file, own, size, stop))) {
    if (flush) await flushFileInside(root, own);
    await note(SAME);
    removeInside(root, block.file);
    return sameGain(item, gathered);
  }
  const sum = isHeardOf(item, options) ? await sumOf(item, root, block.file, size, stop) : undefined;
  await finishAssembled(root, block.file, { ...attributesOf(subject, options), size, flush });
  await note(ledgerSum(sum));
  if (block.file !== own) {
    try {
      await nameAssembled(root, block.file, own, directoryMode);
    } catch (thrown) {
      // Should it be gone at the next look, then somebody has removed it.
      await note(undefined).catch(() => undefined);
      throw thrown;
    }
    if (flush) await flushEntry(root, own);
  }
  return {
    path: target.path,
    gathered,
    complete: true,
    endsAssembly: true,
    result,
    ...(isHeardOf(item, options) && { whole: { size, sum } }),
  };
}

/** The one before us has made the file, and died before the end: what follows from it may not have been done. */
async function goneOn(
  item: BlockItem,
  gathered: Gathered,
  root: Root,
  options: AssembleOptions,
  stop: AbortSignal,
): Promise<Gain> {
  const { size, installing = '' } = gathered;
  if (installing === SAME) return sameGain(item, gathered);
  const own = relativeTo(item.target);
  const isAway = statInside(root, own)?.isFile() !== true;
  // Whoever renamed it may have died before that was flushed.
  if (options.flush && !isAway) await flushEntry(root, own);
  const noted = sumOfLedger(installing);
  const sum = isHeardOf(item, options)
    ? (noted ?? (isAway ? undefined : await sumOf(item, root, own, size, stop)))
    : undefined;
  return {
    path: item.target.path,
    gathered,
    complete: true,
    endsAssembly: true,
    result: { code: 201, text: 'Downloaded, redelivered' },
    ...(isHeardOf(item, options) && { whole: { size, sum } }),
    ...(isAway && { isAway }),
  };
}

/** Whether the file is announced as a whole; what is written into its target is announced block by block. */
const isHeardOf = ({ assembly }: BlockItem, { isTold }: AssembleOptions): boolean =>
  isTold && assembly.storage === 'hidden';

/** The sum of the whole file, as its blocks have one; taken before anybody may change the file. */
async function sumOf(
  { sum }: BlockItem,
  root: Root,
  path: string,
  length: number,
  stop: AbortSignal,
): Promise<Sum | undefined> {
  const algorithm = contentAlgorithm(sum);
  if (algorithm === undefined) return sum;
  const file = await openInside(root, path);
  try {
    const { value } = await digestOfFile(file, algorithm, { offset: 0, length, stop });
    return { algorithm, value };
  } finally {
    await file.close();
  }
}
