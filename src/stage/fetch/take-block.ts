import { type ContentAlgorithm } from '../../checksum/algorithms.js';
import { openDigest } from '../../checksum/block-digest.js';
import type { BlockFile } from '../../file/assembling.js';

/** Larger blocks are hashed in other threads, so that several streams at once use all processors. */
const ownThread = 2 * 1024 * 1024;

/** Why bytes are not taken: called with the number that there would be. */
export type Refuse = (bytes: number) => void;

/** Writes what comes, as it comes, to its place in a file; answers its sum where one is asked for. */
export async function takeBlock(
  data: AsyncIterable<Uint8Array>,
  into: BlockFile,
  algorithm: ContentAlgorithm | undefined,
  length: number,
  refuse: Refuse,
): Promise<string | undefined> {
  const digest = algorithm && openDigest(algorithm, length, ownThread);
  try {
    for await (const chunk of data) {
      const sizeNow = into.size() + chunk.byteLength;
      if (sizeNow > length) refuse(sizeNow);
      const written = into.write(chunk);
      const hashed = digest?.update(chunk);
      // Both at once, so that neither can fail unheard while the other is awaited.
      if (written !== undefined || hashed !== undefined) await Promise.all([written, hashed]);
    }
    if (into.size() !== length) refuse(into.size());
    return await digest?.value();
  } finally {
    digest?.abandon();
  }
}
