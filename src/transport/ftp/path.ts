import { PermanentError } from '../../errors.js';
import type { Account } from './account.js';

/**
 * A path as it stands in a command. Throws PermanentError 417 for one that climbs, or that no command can carry: what
 * stands behind a line feed would be a command of its own.
 */
export function commandPath(path: string): string {
  const isRefused = /[\0\r\n]|\p{Cs}/u.test(path) || path === '' || path.split('/').includes('..');
  if (isRefused) throw new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} is refused`);
  // Servers skip blanks before a name, and some take a dash for the beginning of an option, a tilde for somebody's home.
  return /^[\s~-]/u.test(path) ? `./${path}` : path;
}

/** The directory that a path is in; undefined for what is in no other one. */
export function parentOf(path: string): string | undefined {
  const parent = path.replace(/\/+$/u, '').replace(/\/*[^/]*$/u, '');
  return parent === '' || parent === '.' ? undefined : parent;
}

/** A file as it may be shown: no user, no password. */
export const shownFile = ({ shown }: Account, path: string): string =>
  `${shown}/${path.replace(/^\/+/u, '').split('/').map(encodeURIComponent).join('/')}`;
