import { digestOf, type ContentAlgorithm } from '../../checksum/algorithms.js';
import { digestOfFile } from '../../checksum/block-digest.js';
import { RetryableError } from '../../errors.js';
import { inside, type Root } from '../../file/inside.js';
import { openInside } from '../../file/look.js';
import { readSmall } from '../../file/read-small.js';

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
    if (stop.aborted) throw new RetryableError('stopped before a checksum was computed');
    const small = inside(root, path, { what: 'read' }, ({ at }) => readSmall(at, { followLinks: false }));
    if (small !== undefined) return digestOf(algorithm, small.data) === sum;
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
