import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../errors.js';
import { diskError } from './disk-error.js';

/** Bytes that are free for us on the disk of a path, which need not be there yet. Throws RetryableError. */
export async function freeSpace(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT' && dirname(path) !== path) return freeSpace(dirname(path));
    throw diskError(thrown, `ask for the free space of ${path}`);
  }
}
