import { removeInside } from '../../file/change.js';
import { PermanentError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { openInside, statInside } from '../../file/look.js';
import type { OpenFile, TakeAway } from '../../transport/transport.js';
import { belowDirectory } from './vet.js';

/** Opens what lies below one directory and nothing else; a link leads nowhere out of it, whenever it was put there. */
export const openBelow =
  (directory: string, root: Root): OpenFile =>
  async (path) =>
    openInside(root, relativePath(path, directory));

/** Removes files below one directory and nothing else, as `openBelow` opens them. */
export const takeFrom = (directory: string, root: Root): TakeAway => ({
  look: async (path) => {
    const stat = statInside(root, relativePath(path, directory));
    if (stat === undefined) return undefined;
    const kind = stat.isFile()
      ? 'file'
      : stat.isDirectory()
        ? 'directory'
        : stat.isSymbolicLink()
          ? 'link'
          : 'other';
    return { kind, size: stat.size, mode: stat.mode & 0o7777, modified: stat.mtime };
  },
  remove: async (path) => {
    removeInside(root, relativePath(path, directory));
  },
});

function relativePath(path: string, directory: string): string {
  const relative = belowDirectory(path, directory);
  if (relative === undefined) throw new PermanentError(403, `Forbidden: ${path} is not below ${directory}`);
  return relative;
}
