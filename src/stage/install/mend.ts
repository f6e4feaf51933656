import { RetryableError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import type { Assembly, BlockInHand, Fetched, Gathered } from '../../flow/item.js';
import { blockLength, blockOf, blockOffset, rangeOf } from '../../message/parts.js';
import type { Transports } from '../../transport/transport.js';
import { siblingOf, sumOfLedger } from './announced-block.js';
import { attributesOf } from '../fetch/attributes.js';
import { fetchBlock } from '../fetch/fetch-block.js';
import type { FetchOptions } from '../fetch/fetch-job.js';
import { hasRange } from '../fetch/local-block.js';
import { openBlock } from '../fetch/open-block.js';

/** An item about a block that is in its place. */
export type BlockItem = Fetched & { readonly assembly: Assembly; readonly block: BlockInHand };

export interface MendParts {
  readonly root: Root;
  readonly transports: Transports;
  readonly options: FetchOptions;
  /** How far it has come now. */
  readonly count: () => Promise<Gathered>;
}

/** How often the file may be removed under the hands of the one who makes it whole. */
const ROUNDS = 5;

/**
 * Sees to it that all blocks are where they are to be: somebody may have had one in hand who was taken for dead, and
 * somebody may have removed the file with all that was in it. Answers how it is then; with `installing`, and without the
 * file, when it has been installed before.
 */
export async function mend(
  item: BlockItem,
  first: Gathered,
  parts: MendParts,
  stop: AbortSignal,
): Promise<Gathered> {
  const { root } = parts;
  const { block, target } = item;
  let gathered = first;
  for (let round = 0; round < ROUNDS; round += 1) {
    const isThere = statInside(root, block.file) !== undefined;
    if (!isThere && gathered.installing !== undefined) return gathered;
    const isWhole = isThere
      ? !(await mendSuspects(item, gathered, parts, stop))
      : !(await remade(item, parts, stop));
    if (isWhole) return gathered;
    gathered = await parts.count();
    if (!gathered.complete) return gathered;
  }
  throw new RetryableError(
    `${root.absolute(block.file)} is removed again and again while ${target.path} is put together in it`,
  );
}

/** Makes the file anew, without any of its blocks. Answers true. */
async function remade(
  { block, subject }: BlockItem,
  { root, options }: MendParts,
  stop: AbortSignal,
): Promise<true> {
  const { mode } = attributesOf(subject, options);
  const file = await openBlock(root, block, { offset: 0, mode, directoryMode: options.directoryMode }, stop);
  await file.close();
  return true;
}

/** Fetches again what has not its sum. Answers whether the file was removed meanwhile: then there is more of it. */
async function mendSuspects(
  item: BlockItem,
  { suspects }: Gathered,
  { root, transports, options }: MendParts,
  stop: AbortSignal,
): Promise<boolean> {
  const { assembly, block, subject } = item;
  let isAnew = false;
  const doubt = async (): Promise<boolean> => {
    isAnew = true;
    return block.doubt();
  };
  for (const suspect of suspects) {
    const parts = blockOf(assembly.parts, suspect.number);
    const sum = sumOfLedger(suspect.sum);
    const range = { offset: blockOffset(parts), length: blockLength(parts), stop };
    if (sum !== undefined && (await hasRange(root, block.file, { ...range, sum }))) continue;
    const wanted = siblingOf(subject, assembly.parts, suspect.number, sum);
    const job = {
      item: { ...item, subject: wanted },
      root,
      options,
      transports,
      sum,
      size: range.length,
      range: rangeOf(parts),
      lastAttempt: options.attempts,
      parts,
      into: { ...block, doubt },
    };
    await fetchBlock(job, stop);
  }
  return isAnew;
}
