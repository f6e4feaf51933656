import { posix } from 'node:path';
import { PermanentError } from '../errors.js';
import type { Target } from '../flow/item.js';

const isPlainName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');

/** The path from one absolute directory to another below it; undefined when it is not below. */
function relativeTo(top: string, path: string): string | undefined {
  const relative = posix.relative(top, path);
  return relative === '..' || relative.startsWith('../') || posix.isAbsolute(relative) ? undefined : relative;
}

/**
 * Another directory or name for a target, still below the same root, or below the directory that the configuration
 * names: a relative one counts from the root. Throws PermanentError 417 when it is not.
 */
export function retarget(
  target: Target,
  change: { readonly directory?: string; readonly name?: string },
): Target {
  const name = change.name ?? target.name;
  const wanted = change.directory ?? target.directory;
  const { root, within, access } = target;
  const absolute = posix.resolve('/', root, wanted);
  for (const top of within === undefined ? [root] : [root, within]) {
    const directory = relativeTo(posix.resolve('/', top), absolute);
    if (directory === undefined || wanted.includes('\0') || !isPlainName(name)) continue;
    const path = posix.join(top, directory, name);
    return {
      root: top,
      directory,
      name,
      path,
      ...(top === root && within !== undefined && { within }),
      ...(access !== undefined && { access }),
    };
  }
  throw new PermanentError(417, `a plugin asked for ${wanted}/${name}, which is not below ${within ?? root}`);
}
