import { sep } from 'node:path';
import { PermanentError } from '../errors.js';

/** Longest name of a file or directory, in bytes, on the file systems in use. */
export const longestName = 255;

const loneSurrogate = /\p{Cs}/u;

/** Names that mean something else on Windows: drive letters, alternative streams, other separators. */
const foreign = sep === '\\' ? /[\\:*?"<>|]/ : /\0/;

/**
 * The elements of a path below a directory, the last of them the file name. `.` and empty elements are left out.
 * Throws PermanentError 417 for a path that is empty, absolute, holds `..` or NUL, an element longer than 255
 * bytes, or text that is not well-formed Unicode: such a path comes from a mistake or from an attack.
 */
export function elementsOf(relPath: string): [string, ...string[]] {
  const refuse = (why: string): never => {
    throw new PermanentError(417, `path ${JSON.stringify(relPath.slice(0, 300))} is refused: ${why}`);
  };
  if (relPath.startsWith('/')) return refuse('it is absolute');
  if (relPath.includes('\0')) return refuse('it holds a NUL character');
  if (loneSurrogate.test(relPath)) return refuse('it is not well-formed Unicode');
  let elements = relPath.split('/');
  if (elements.some(isNothing)) elements = elements.filter((element) => !isNothing(element));
  for (const element of elements) {
    if (element === '..') return refuse('it holds ".."');
    if (foreign.test(element)) return refuse('it holds characters that are not possible in a name here');
    if (element.length * 3 > longestName && Buffer.byteLength(element) > longestName) {
      return refuse(`an element is longer than ${longestName} bytes`);
    }
  }
  return isFilled(elements) ? elements : refuse('it is empty');
}

const isNothing = (element: string): boolean => element === '' || element === '.';

const isFilled = (elements: string[]): elements is [string, ...string[]] => elements.length > 0;

/** A path below a directory. */
export interface SplitPath {
  readonly directories: readonly string[];
  readonly name: string;
}

/** The directory elements and the file name of a path below a directory. Throws like `elementsOf`. */
export function splitPath(relPath: string): SplitPath {
  const directories: string[] = elementsOf(relPath);
  const name = directories.pop() ?? '';
  return { directories, name };
}

/** The path that `splitPath` has split. */
export const joinPath = ({ directories, name }: SplitPath): string =>
  directories.length === 0 ? name : `${directories.join('/')}/${name}`;
