import type { FileHandle } from 'node:fs/promises';
import { RetryableError, messageOf } from '../errors.js';
import { startDigest, type ContentAlgorithm, type StreamDigest } from './algorithms.js';
import { startWorkerDigest } from './worker-digest.js';

/** Above this size another thread computes, so that one large file does not slow all others down. */
export const workerSize = 64 * 1024 * 1024;

/** Bytes read from a file at a time. */
const readSize = 1024 * 1024;

/** Begins a digest of `expectedSize` bytes, in this thread or, for large files, in another one. */
export function openDigest(algorithm: ContentAlgorithm, expectedSize: number | undefined): StreamDigest {
  if (expectedSize !== undefined && expectedSize > workerSize) return startWorkerDigest(algorithm);
  const digest = startDigest(algorithm);
  return {
    update: (data) => {
      digest.update(data);
      return undefined;
    },
    value: async () => digest.value(),
    abandon: () => undefined,
  };
}

export interface BlockOptions {
  /** First byte; default 0. */
  readonly offset?: number;
  /** Bytes at most; default to the end. */
  readonly length?: number;
  readonly stop?: AbortSignal;
}

/**
 * Digest of a file, or of a block of it, and the number of bytes it was taken of (fewer than asked when the file
 * is shorter). Throws RetryableError when reading fails or `stop` is raised.
 */
export async function digestOfFile(
  file: FileHandle,
  algorithm: ContentAlgorithm,
  options: BlockOptions = {},
): Promise<{ readonly value: string; readonly size: number }> {
  const offset = options.offset ?? 0;
  const length = options.length ?? Number.MAX_SAFE_INTEGER;
  let size = 0;
  let digest: StreamDigest | undefined;
  try {
    const there = Math.max(0, (await file.stat()).size - offset);
    digest = openDigest(algorithm, Math.min(length, there));
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(readSize, length, there + 1)));
    while (size < length) {
      if (options.stop?.aborted === true) throw new RetryableError('stopped while computing a checksum');
      const wanted = Math.min(buffer.byteLength, length - size);
      const { bytesRead } = await file.read(buffer, 0, wanted, offset + size);
      if (bytesRead === 0) break;
      await digest.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
    return { value: await digest.value(), size };
  } catch (error) {
    if (error instanceof RetryableError) throw error;
    throw new RetryableError(`cannot compute a checksum: ${messageOf(error)}`, { cause: error });
  } finally {
    digest?.abandon();
  }
}
