import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../errors.js';
import { diskError } from './disk-error.js';

/** In bytes. */
export interface DiskSpace {
  readonly total: number;
  /** Free for us. */
  readonly free: number;
}

/** What there is on the disk of a path, which need not be there yet. Throws RetryableError. */
export async function diskSpace(path: string): Promise<DiskSpace> {
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    return { total: blocks * bsize, free: bavail * bsize };
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT' && dirname(path) !== path) return diskSpace(dirname(path));
    throw diskError(thrown, `ask for the free space of ${path}`);
  }
}

/** Bytes that are free for us there. */
export const freeSpace = async (path: string): Promise<number> => (await diskSpace(path)).free;
