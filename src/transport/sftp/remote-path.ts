import { PermanentError } from '../../errors.js';

/** Names as the server is asked for them: absolute with a leading `/`, below the directory of the login without. */

const refused = (path: string, why: string): PermanentError =>
  new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} ${why}`);

/** The path itself, without empty elements and `.`. Throws PermanentError 417 for what climbs or cannot be named. */
export function remotePath(path: string): string {
  if (/\p{Cs}|\0/u.test(path)) throw refused(path, 'cannot be asked for');
  const elements = path.split('/').filter((element) => element !== '' && element !== '.');
  if (elements.includes('..')) throw refused(path, 'climbs, and is refused');
  if (elements.length === 0) throw refused(path, 'names nothing');
  return (path.startsWith('/') ? '/' : '') + elements.join('/');
}

/** A path to read: below the path of the site's URL, where that has one. */
export function pathBelow(url: string, path: string): string {
  const wanted = remotePath(path);
  const elements = (/^[^:]*:\/\/[^/]*(\/.*)$/u.exec(url)?.[1] ?? '').split('/').filter((one) => one !== '');
  return elements.length === 0 ? wanted : remotePath(`/${elements.join('/')}/${wanted}`);
}

/** The directory that a name is in; undefined for one that is directly below the root or the login directory. */
export function directoryOf(path: string): string | undefined {
  const end = path.lastIndexOf('/');
  return end <= 0 ? undefined : path.slice(0, end);
}
