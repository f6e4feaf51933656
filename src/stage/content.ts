import type { ContentAlgorithm } from '../checksum/algorithms.js';
import { digestOfFile } from '../checksum/block-digest.js';
import { RetryableError } from '../errors.js';
import type { Root } from '../file/inside.js';
import { openInside } from '../file/look.js';

/**
 * Whether a file here has the content with that sum. One that cannot be read has not: it is there to be replaced.
 * Throws RetryableError when stopped.
 */
export async function hasContent(
  root: Root,
  path: string,
  algorithm: ContentAlgorithm,
  sum: string | undefined,
  stop: AbortSignal,
): Promise<boolean> {
  try {
    const file = await openInside(root, path);
    try {
      return (await digestOfFile(file, algorithm, { stop })).value === sum;
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (stop.aborted || !(thrown instanceof RetryableError)) throw thrown;
    return false;
  }
}
