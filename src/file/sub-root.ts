import { join } from 'node:path';
import { PermanentError } from '../errors.js';
import type { Directory, Root } from './inside.js';

/**
 * A directory below a root as a root of its own: links that lie in it lead nowhere else, not even to its neighbours
 * below the same root. It shares the open directories of that root; closing it does nothing.
 */
export function subRoot(root: Root, elements: readonly string[]): Root {
  /** Where the directory really is: links above it are the administrator's. */
  const own = (create: Parameters<Root['enter']>[1]): string => {
    const directory = root.enter(elements, create);
    directory.release();
    return directory.relative;
  };
  return {
    path: join(root.path, ...elements),
    absolute: (relPath) => join(root.absolute(elements.join('/')), relPath),
    enter: (below, create) => {
      const top = own(create);
      const directory = root.enter([...elements, ...below], create);
      const relative = relativeTo(top, directory.relative);
      if (relative !== undefined) return narrowed(directory, relative);
      directory.release();
      throw new PermanentError(
        417,
        `${join(root.path, ...elements, ...below)} leads to ${directory.path}, outside ${join(root.path, top)}: refused`,
      );
    },
    close: () => undefined,
  };
}

/** The path from one directory to another below it, both relative to the root; undefined when it is not below. */
function relativeTo(top: string, path: string): string | undefined {
  if (top === '' || path === top) return path === top ? '' : path;
  return path.startsWith(`${top}/`) ? path.slice(top.length + 1) : undefined;
}

/** The directory as seen from the narrower root. */
const narrowed = (directory: Directory, relative: string): Directory => ({ ...directory, relative });
