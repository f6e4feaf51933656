import { constants, lstatSync, readlinkSync, type Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { RetryableError, systemCode } from '../errors.js';
import { diskError } from './disk-error.js';
import { insideIfThere, type Root } from './inside.js';
import { splitPath } from './relative-path.js';

/** What stands at a path, links not followed; undefined when nothing does. Throws as `inside` does. */
export function statInside(root: Root, relPath: string): Stats | undefined {
  return insideIfThere(root, relPath, 'look at', ({ at }) => lstatSync(at, { throwIfNoEntry: false }));
}

/** The text of a symbolic link; undefined when there is none at that path. Throws as `inside` does. */
export function readLinkInside(root: Root, relPath: string): string | undefined {
  return insideIfThere(root, relPath, 'read link', ({ at }) => {
    try {
      return readlinkSync(at);
    } catch (error) {
      if (systemCode(error) === 'EINVAL') return undefined;
      throw error;
    }
  });
}

/**
 * Opens a regular file for reading. A link, a pipe or a device at that path is refused: RetryableError, as for a
 * missing file (`systemCode` ENOENT).
 */
export async function openInside(root: Root, relPath: string): Promise<FileHandle> {
  const { directories, name } = splitPath(relPath);
  const what = `read ${root.absolute(relPath)}`;
  // The pin keeps the directory's descriptor ours while the thread pool works on it.
  const directory = root.enter(directories);
  let file: FileHandle | undefined;
  try {
    file = await open(directory.at(name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
  } catch (error) {
    await file?.close();
    throw diskError(error, what);
  } finally {
    directory.release();
  }
  await file.close();
  throw new RetryableError(`cannot ${what}: it is not a regular file`);
}
