import { type ContentAlgorithm, startDigest } from '../../checksum/algorithms.js';
import { startWrittenDigest } from '../../checksum/written-digest.js';
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
  const digest = algorithm && digestOf(into, algorithm, length);
  try {
    for await (const chunk of data) {
      const sizeNow = into.size() + chunk.byteLength;
      if (sizeNow > length) refuse(sizeNow);
      const written = into.write(chunk);
      digest?.take(chunk);
      if (written === undefined) continue;
      await written;
      const behind = digest?.written();
      if (behind !== undefined) await behind;
    }
    if (into.size() !== length) refuse(into.size());
    return await digest?.value();
  } finally {
    await digest?.abandon();
  }
}

/** A digest of a block that is being written. */
interface BlockDigest {
  readonly take: (chunk: Uint8Array) => void;
  /** What was taken may be in the file by now. */
  readonly written: () => Promise<void> | undefined;
  readonly value: () => Promise<string>;
  readonly abandon: () => Promise<void> | undefined;
}

/** Of small blocks from what comes, of large ones from what is in the file. */
function digestOf(into: BlockFile, algorithm: ContentAlgorithm, length: number): BlockDigest {
  if (length <= ownThread) {
    const digest = startDigest(algorithm);
    return {
      take: digest.update,
      written: () => undefined,
      value: async () => digest.value(),
      abandon: () => undefined,
    };
  }
  const digest = startWrittenDigest(algorithm, into.descriptor, into.offset);
  const written = (): Promise<void> | undefined => digest.written(into.written());
  return {
    take: () => undefined,
    written,
    value: async () => {
      await into.writeOut();
      await written();
      return digest.value();
    },
    abandon: digest.abandon,
  };
}
