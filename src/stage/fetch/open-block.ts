import { setTimeout as pause } from 'node:timers/promises';
import { RetryableError } from '../../errors.js';
import {
  type BlockFile,
  type BlockFileOptions,
  makeBlockFile,
  openBlockFile,
} from '../../file/assembling.js';
import type { Root } from '../../file/inside.js';
import type { BlockInHand } from '../../flow/item.js';

/** Where a block belongs, and who is asked before that is made anew. */
export type Gathering = Pick<BlockInHand, 'file' | 'doubt' | 'made'>;

/** Milliseconds between two looks while somebody else makes the file, and until that takes too long. */
const LOOK_EVERY = 20;
const PATIENCE = 15_000;

/**
 * Opens the file that a block belongs into, and makes it when it is not there: but not before the ledger knows that what
 * it takes for being in that file may be gone.
 */
export async function openBlock(
  root: Root,
  { file, doubt, made }: Gathering,
  options: BlockFileOptions,
  stop: AbortSignal,
): Promise<BlockFile> {
  for (let waited = 0; waited <= PATIENCE; waited += LOOK_EVERY) {
    const there = openBlockFile(root, file, options);
    if (there !== undefined) return there;
    if (await doubt()) return makeBlock(root, { file, made }, options);
    await pause(LOOK_EVERY, undefined, { signal: stop });
  }
  throw new RetryableError(`${root.absolute(file)} is not there, and whoever was to make it has not done so`);
}

async function makeBlock(
  root: Root,
  { file, made }: Pick<Gathering, 'file' | 'made'>,
  options: BlockFileOptions,
): Promise<BlockFile> {
  const opened = makeBlockFile(root, file, options);
  try {
    await made();
    return opened;
  } catch (thrown) {
    await opened.close();
    throw thrown;
  }
}
