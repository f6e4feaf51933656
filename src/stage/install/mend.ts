import { PermanentError, RetryableError } from '../../errors.js';
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
import { type Gathering, openBlock } from '../fetch/open-block.js';

/** An item about a block that is in its place. */
export type BlockItem = Fetched & { readonly assembly: Assembly; readonly block: BlockInHand };

export interface MendParts {
  readonly root: Root;
  readonly transports: Transports;
  readonly options: FetchOptions;
  /** How far it has come now. */
  readonly count: () => Promise<Gathered>;
  /** Blocks that cannot be had. */
  readonly lack: (blocks: readonly number[], reason: string) => Promise<void>;
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
    if (!isThere) await remake(item, parts, stop);
    else if (await areMended(item, gathered, parts, stop)) return gathered;
    gathered = await parts.count();
    if (!gathered.complete) return gathered;
  }
  throw new RetryableError(
    `${root.absolute(block.file)} is removed again and again while ${target.path} is put together in it`,
  );
}

/** Makes the file anew, without any of its blocks. */
async function remake(
  { block, subject }: BlockItem,
  { root, options }: MendParts,
  stop: AbortSignal,
): Promise<void> {
  const { mode } = attributesOf(subject, options);
  const file = await openBlock(root, block, { offset: 0, mode, directoryMode: options.directoryMode }, stop);
  await file.close();
}

/** Fetches again what has not its sum. Answers whether all of it is there now; if not, more is to be looked at. */
async function areMended(
  item: BlockItem,
  { suspects }: Gathered,
  parts: MendParts,
  stop: AbortSignal,
): Promise<boolean> {
  let isAnew = false;
  const doubt = async (): Promise<boolean> => {
    isAnew = true;
    return item.block.doubt();
  };
  const lost = new Map<number, PermanentError>();
  for (const suspect of suspects) {
    try {
      // A server that had something else once is not asked about each of many blocks again and again.
      const attempts = lost.size > 0 ? 1 : parts.options.attempts;
      await mendOne(item, suspect, { ...parts, into: { ...item.block, doubt }, attempts }, stop);
    } catch (thrown) {
      // What may be had later is left for another try of the item.
      if (!(thrown instanceof PermanentError)) throw thrown;
      lost.set(suspect.number, thrown);
    }
  }
  const [first] = lost.values();
  if (first === undefined) return !isAnew;
  await parts.lack([...lost.keys()], first.message);
  const own = lost.get(item.assembly.parts.number);
  if (own !== undefined) throw own;
  return false;
}

async function mendOne(
  item: BlockItem,
  suspect: Gathered['suspects'][number],
  {
    root,
    transports,
    options,
    into,
    attempts,
  }: MendParts & { readonly into: Gathering; readonly attempts: number },
  stop: AbortSignal,
): Promise<void> {
  const { assembly, subject } = item;
  const parts = blockOf(assembly.parts, suspect.number);
  const sum = sumOfLedger(suspect.sum);
  const range = { offset: blockOffset(parts), length: blockLength(parts), stop };
  if (sum !== undefined && (await hasRange(root, into.file, { ...range, sum }))) return;
  const wanted = siblingOf(subject, assembly.parts, suspect.number, sum);
  const job = {
    item: { ...item, subject: wanted },
    root,
    options,
    transports,
    sum,
    size: range.length,
    range: rangeOf(parts),
    lastAttempt: attempts,
    parts,
    into,
  };
  await fetchBlock(job, stop);
}
