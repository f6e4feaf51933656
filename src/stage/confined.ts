import type { FileHandle } from 'node:fs/promises';
import { PermanentError, RetryableError } from '../errors.js';
import type { Root } from '../file/inside.js';
import { openInside } from '../file/look.js';
import type { Download, Transports } from '../transport/transport.js';
import { belowDirectory } from './vet.js';

/** Bytes read at a time. */
const READ = 256 * 1024;

/**
 * Transports whose files of this machine all lie below one directory, links followed nowhere out of it. They are copied,
 * never linked: whoever put one there could go on writing to it.
 */
export function confined(transports: Transports, directory: string, root: Root): Transports {
  return {
    close: transports.close,
    session: async (baseUrl, stop) => {
      if (!/^file:/iu.test(baseUrl)) return transports.session(baseUrl, stop);
      return {
        get: async (path, stopped) => {
          const relative = belowDirectory(path, directory);
          if (relative === undefined)
            throw new PermanentError(403, `Forbidden: ${path} is not below ${directory}`);
          return downloadOf(await openInside(root, relative), stopped);
        },
        close: async () => undefined,
      };
    },
  };
}

async function downloadOf(file: FileHandle, stop: AbortSignal): Promise<Download> {
  const { size, mtime } = await file.stat();
  return { size, modified: mtime, data: bytesOf(file, stop) };
}

/** Whoever declines the bytes before the first has to close the file as well: a generator would not notice. */
function bytesOf(file: FileHandle, stop: AbortSignal): AsyncIterable<Uint8Array> {
  const end = async (): Promise<IteratorResult<Uint8Array>> => {
    await file.close();
    return { done: true, value: undefined };
  };
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (stop.aborted) throw new RetryableError('stopped in the middle of a copy', { cause: stop.reason });
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ), 0, READ, null);
    return bytesRead === 0 ? end() : { done: false, value: buffer.subarray(0, bytesRead) };
  };
  return {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        next().catch(async (thrown: unknown) => {
          await file.close();
          throw thrown;
        }),
      return: end,
    }),
  };
}
