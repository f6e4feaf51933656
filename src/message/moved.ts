import type { ChangeHeaders } from './headers.js';
import { decodeRelPath, isInsidePath, nameOf, normalisePath } from './rel-path.js';

/** The two halves of a rename, see Announcement. */
export interface Moved {
  readonly from?: string;
  readonly to?: string;
}

const firstOf = (path: string): string => {
  const slash = path.indexOf('/');
  return slash < 0 ? path : path.slice(0, slash);
};

const directoryOf = (path: string): string => {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
};

/**
 * Whether the other half of a rename is a path on the poster's disk and not below the announced tree. The C program
 * writes such paths; nothing in the message says so. It shows when the message has the marks of that family and
 * the paths begin differently, or when the other half is the same directory with something in front of it.
 */
function isPosterPath(path: string, other: string, marked: boolean): boolean {
  if (marked) return firstOf(path) !== firstOf(other);
  const directory = directoryOf(path);
  return directory !== '' && nameOf(path) !== nameOf(other) && directoryOf(other).endsWith(`/${directory}`);
}

/**
 * Reads oldname and newname. A path that leaves the tree, or was never in it, is left out with a warning: what
 * remains is a plain removal or a plain post. `marked`: the message has the marks of a program that announces paths
 * of its own disk here.
 */
export function movedOf(
  path: string,
  headers: ChangeHeaders,
  marked: boolean,
  warnings: string[],
): Moved | undefined {
  const { oldname, newname } = headers;
  if (oldname === undefined && newname === undefined) return undefined;
  const from = checked('oldname', path, oldname, marked, warnings);
  const to = checked('newname', path, newname, marked, warnings);
  if (from === undefined) return to === undefined ? undefined : { to };
  return to === undefined ? { from } : { from, to };
}

function checked(
  name: string,
  path: string,
  text: string | undefined,
  marked: boolean,
  warnings: string[],
): string | undefined {
  if (text === undefined) return undefined;
  const other = decodeRelPath(text);
  if (!isInsidePath(other)) {
    warnings.push(`${name} is not a path below the announced tree and was left out`);
    return undefined;
  }
  if (isPosterPath(normalisePath(path), normalisePath(other), marked)) {
    warnings.push(`${name} is a path on the poster's own disk and was left out`);
    return undefined;
  }
  return other;
}
