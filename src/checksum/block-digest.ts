import type { FileHandle } from 'node:fs/promises';
import { RetryableError, messageOf } from '../errors.js';
import { algorithms, startDigest, type ContentAlgorithm, type StreamDigest } from './algorithms.js';
import { digestInThread, type RangeDigest } from './read-thread.js';
import { startWorkerDigest } from './worker-digest.js';

/** Above this size another thread computes, so that one large file does not slow all others down. */
export const workerSize = 64 * 1024 * 1024;

/** A range up to this size is read where it is asked for: the way to another thread and back costs more. */
const smallRange = 1024 * 1024;

/** Bytes read from a file at a time. */
const readSize = 1024 * 1024;

/** Begins a digest of `expectedSize` bytes, in this thread or, for more than `most`, in another one. */
export function openDigest(
  algorithm: ContentAlgorithm,
  expectedSize: number | undefined,
  most = workerSize,
): StreamDigest {
  if (expectedSize !== undefined && expectedSize > most) return startWorkerDigest(algorithm);
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
  try {
    const there = Math.max(0, (await file.stat()).size - offset);
    if (Math.min(length, there) > workerSize) {
      const order = { descriptor: file.fd, hash: algorithms[algorithm].hash, offset, length };
      const { value, size: read } = await digestInThread(order, options.stop);
      return { value, size: read };
    }
    const digest = startDigest(algorithm);
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(readSize, length, there + 1)));
    while (size < length) {
      if (options.stop?.aborted === true) throw new RetryableError('stopped while computing a checksum');
      const wanted = Math.min(buffer.byteLength, length - size);
      const { bytesRead } = await file.read(buffer, 0, wanted, offset + size);
      if (bytesRead === 0) break;
      digest.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
    return { value: digest.value(), size };
  } catch (error) {
    if (error instanceof RetryableError) throw error;
    throw new RetryableError(`cannot compute a checksum: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Digest of a range of a file, the number of bytes that it was taken of, and the state of the file afterwards. Another
 * thread reads and computes, for all but small ranges: several ranges of a file get on at once. Throws RetryableError
 * when reading fails or `stop` is raised.
 */
export async function digestOfRange(
  file: FileHandle,
  algorithm: ContentAlgorithm,
  range: { readonly offset: number; readonly length: number; readonly stop?: AbortSignal },
): Promise<RangeDigest> {
  const { offset, length, stop } = range;
  if (length > smallRange)
    return digestInThread({ descriptor: file.fd, hash: algorithms[algorithm].hash, offset, length }, stop);
  const read = await digestOfFile(file, algorithm, range);
  const { size, mtimeMs, nlink } = await file.stat();
  return { ...read, after: { size, mtimeMs, nlink } };
}
