import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

/** Files up to this size are read at once: for so little, the way through the thread pool costs more than the reading. */
export const smallFile = 256 * 1024;

/** A file read as a whole. */
export interface SmallFile {
  /** Only valid until the next file is read: all are read into the same memory. */
  readonly data: Uint8Array;
  /** Taken after reading. */
  readonly stat: Stats;
}

let buffer: Buffer | undefined;

/**
 * Reads a small regular file; undefined when it is larger, not a regular file, or changes its size meanwhile. Throws
 * system errors; ELOOP for a link unless links are followed.
 */
export function readSmall(at: string, options: { readonly followLinks: boolean }): SmallFile | undefined {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const descriptor = openSync(at, options.followLinks ? flags : flags | constants.O_NOFOLLOW);
  try {
    buffer ??= Buffer.allocUnsafeSlow(smallFile + 1);
    const size = readSync(descriptor, buffer, 0, buffer.byteLength, 0);
    const stat = fstatSync(descriptor);
    const isWhole = stat.isFile() && stat.size === size && size <= smallFile;
    return isWhole ? { data: buffer.subarray(0, size), stat } : undefined;
  } finally {
    closeSync(descriptor);
  }
}
