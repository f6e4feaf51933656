import { posix } from 'node:path';
import { PermanentError } from '../errors.js';
import type { Target } from '../flow/item.js';

const isPlainName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');

/** Another directory or name for a target, still below the same root. Throws PermanentError 417 when it is not. */
export function retarget(
  target: Target,
  change: { readonly directory?: string; readonly name?: string },
): Target {
  const name = change.name ?? target.name;
  const wanted = change.directory ?? target.directory;
  const directory = posix.isAbsolute(wanted) ? posix.relative(target.root, wanted) : posix.normalize(wanted);
  const relative = directory === '.' ? '' : directory.replace(/\/$/, '');
  if (!isPlainName(name) || relative.split('/').includes('..') || relative.includes('\0')) {
    throw new PermanentError(417, `a plugin asked for ${wanted}/${name}, which is not below ${target.root}`);
  }
  return { root: target.root, directory: relative, name, path: posix.join(target.root, relative, name) };
}
