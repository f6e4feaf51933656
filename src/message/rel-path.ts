import { escapeWord } from './topic.js';

/*
 * The path below the base URL. On the wire a space is `%20` and `#` is `%23`; nothing else is encoded, not even the
 * percent sign, so a name that really holds `%20` or `%23` cannot be told from an encoded one.
 */

/** Encodes a path for the body of a message. */
export const encodeRelPath: (path: string) => string = escapeWord;

/** Reverses exactly the two escapes of encodeRelPath. */
export function decodeRelPath(relPath: string): string {
  if (!relPath.includes('%2')) return relPath;
  return relPath.replaceAll('%20', ' ').replaceAll('%23', '#');
}

const hasOddSlashes = (path: string): boolean =>
  path.includes('//') || path.includes('/./') || path.startsWith('./') || path.endsWith('/.') || path === '.';

/** A decoded path as the elements that count: no `.`, no doubled, leading or trailing `/`. */
export function normalisePath(path: string): string {
  if (hasOddSlashes(path)) {
    return path
      .split('/')
      .filter((element) => element !== '' && element !== '.')
      .join('/');
  }
  const start = path.startsWith('/') ? 1 : 0;
  const end = path.endsWith('/') ? path.length - 1 : path.length;
  return path.slice(start, end);
}

/** The decoded, normalised path of a relPath: where a mirror puts it below its root, without leading `/`. */
export const pathOf = (relPath: string): string => normalisePath(decodeRelPath(relPath));

/** The file name of a path, wire form or decoded alike. */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The path a link text stands for, seen from the directory of `path`. */
export const linkedPath = (path: string, link: string): string =>
  link.startsWith('/') ? link : path.slice(0, path.lastIndexOf('/') + 1) + link;

/** Whether a text could not have been UTF-8: it holds half of a surrogate pair. */
export const hasLoneSurrogate = (text: string): boolean => !text.isWellFormed();

/**
 * Whether a text holds a control character (C0, DEL, C1: line feed and NUL among them) or a lone surrogate. No name
 * with one of these can be announced: it would break the one-line body, or name another file.
 */
export function hasForbiddenCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return true;
    if (unit >= 0xd800 && unit < 0xe000) {
      const next = text.charCodeAt(index + 1);
      if (unit >= 0xdc00 || !(next >= 0xdc00 && next < 0xe000)) return true;
      index += 1;
    }
  }
  return false;
}

/** Whether a decoded path has an element `..`. */
export function climbs(path: string): boolean {
  let at = path.indexOf('..');
  while (at >= 0) {
    const before = at === 0 || path.charCodeAt(at - 1) === 47;
    const after = at + 2 === path.length || path.charCodeAt(at + 2) === 47;
    if (before && after) return true;
    at = path.indexOf('..', at + 1);
  }
  return false;
}

/** What is wrong with the text of a decoded path, or undefined: nothing in it, or characters no name may have. */
export function pathTextProblem(path: string): string | undefined {
  if (hasForbiddenCharacter(path)) return 'holds a control character or is not valid UTF-8';
  if (normalisePath(path) === '') return 'is empty';
  return undefined;
}

/** Whether a decoded path names something below a root and stays there. */
export const isInsidePath = (path: string): boolean => pathTextProblem(path) === undefined && !climbs(path);

/** Whether a decoded path ends in a file name, not in a directory. */
export const endsInName = (path: string): boolean => {
  const name = nameOf(path);
  return name !== '' && name !== '.';
};

/** Whether an element of a decoded path is a name by which web servers are told what to do: `.htaccess` and its like. */
export const isWebControl = (path: string): boolean => /(?:^|\/)\.ht/iu.test(path);
