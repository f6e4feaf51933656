import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from '../../errors.js';

/** The names in a directory are on the disk when this returns. Throws system errors. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Directories that are not ours to read or to write to: we have made no name in them. */
const foreign: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS', 'EINVAL']);

/** The names that lead to `path` are on the disk when this returns: any of them may be new. Throws system errors. */
export function syncWayTo(path: string): void {
  for (let at = path, above = dirname(at); above !== at; at = above, above = dirname(at)) {
    try {
      syncDirectory(above);
    } catch (error) {
      if (!foreign.has(systemCode(error))) throw error;
    }
  }
}
