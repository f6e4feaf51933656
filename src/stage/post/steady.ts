import { constants, type Stats } from 'node:fs';
import { lstat, open, stat, type FileHandle } from 'node:fs/promises';
import { PermanentError, RetryableError } from '../../errors.js';

/** A file open for reading, and what it was when it was opened. */
export interface Opened {
  readonly file: FileHandle;
  readonly stat: Stats;
}

/** Opens a regular file; one that has become a link since it was found only where links are followed. */
export async function openSteady(path: string, followLinks: boolean): Promise<Opened> {
  let file: FileHandle | undefined;
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    file = await open(path, followLinks ? flags : flags | constants.O_NOFOLLOW);
    const opened = { file, stat: await file.stat() };
    if (opened.stat.isFile()) return opened;
  } catch (cause) {
    await file?.close();
    throw new RetryableError(`cannot read ${path}`, { cause });
  }
  await file.close();
  throw new PermanentError(417, `${path} is no regular file any more`);
}

type Version = Pick<Stats, 'size' | 'mtimeMs'>;

/** Whether a file is what it was, as far as its size and time tell. */
export const isUnchanged = (before: Version, after: Version): boolean =>
  before.size === after.size && before.mtimeMs === after.mtimeMs;

/** Whether a path still leads to the file that was read, unchanged. */
export async function isStillThere(path: string, read: Stats, followLinks: boolean): Promise<boolean> {
  try {
    const now = await (followLinks ? stat : lstat)(path);
    return now.ino === read.ino && now.dev === read.dev && isUnchanged(read, now);
  } catch {
    return false;
  }
}
