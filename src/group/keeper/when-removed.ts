import { stat } from 'node:fs/promises';
import { systemCode } from '../../errors.js';

/** Milliseconds between two looks, of which so many in a row must find nothing. */
const LOOK_EVERY = 1000;
const TIMES = 2;

/**
 * Calls `removed` once when a directory is gone, or another one stands in its place. A process whose directory
 * somebody has removed answers nobody any more: no command would find it to end it.
 */
export function whenRemoved(directory: string, removed: () => void): { readonly end: () => void } {
  let first: bigint | undefined;
  let missed = 0;
  const look = async (): Promise<void> => {
    const found = await inodeOf(directory);
    if (found === 'unknown') return;
    first ??= found;
    missed = found === undefined || found !== first ? missed + 1 : 0;
    if (missed < TIMES) return;
    clearInterval(timer);
    removed();
  };
  const timer = setInterval(() => void look(), LOOK_EVERY);
  timer.unref();
  void look();
  return { end: () => clearInterval(timer) };
}

/** Undefined when there is no such directory; a file system that does not answer is no removal. */
async function inodeOf(directory: string): Promise<bigint | undefined | 'unknown'> {
  try {
    return (await stat(directory, { bigint: true })).ino;
  } catch (thrown) {
    const code = systemCode(thrown);
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : 'unknown';
  }
}
