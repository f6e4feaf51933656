import { createHash } from 'node:crypto';
import { elementsOf, joinPath, longestName, splitPath, type SplitPath } from './relative-path.js';

/** How a file is named while it is written. */
export type InflightNaming =
  /** No visible temporary name: `.name.inflight`. */
  | { readonly kind: 'none' }
  /** `.name`; `.name.inflight` where that would be a name of the web server's. */
  | { readonly kind: 'dot' }
  /** `name.tmp` */
  | { readonly kind: 'extension'; readonly extension: string }
  /** `dir/name` below the target's directory. */
  | { readonly kind: 'directory'; readonly directory: string };

const nothing = new Set(['none', 'off', 'false', 'no']);

/** The meaning of the `inflight` option's text; undefined when it is none of the forms. */
export function inflightNaming(option: string): InflightNaming | undefined {
  if (nothing.has(option.toLowerCase())) return { kind: 'none' };
  if (option === '.') return { kind: 'dot' };
  if (/^\.[^/\0]{1,60}$/u.test(option) && option !== '..') return { kind: 'extension', extension: option };
  if (/^[^/\0][^\0]*\/$/u.test(option) && !option.split('/').includes('..')) {
    return { kind: 'directory', directory: option.replace(/\/+$/u, '') };
  }
  return undefined;
}

/**
 * The private path under which a file is written, relative to the root like the target. The same target always has
 * the same one, so that what a killed process left behind is found. Throws PermanentError as `elementsOf` does.
 */
export const inflightPath = (relTarget: string, naming: InflightNaming): string =>
  joinPath(inflightPlace(splitPath(relTarget), naming));

/** The same of a target that is split already, and not joined. Throws PermanentError as `elementsOf` does. */
export function inflightPlace({ directories, name }: SplitPath, naming: InflightNaming): SplitPath {
  const own = inflightName(name, naming);
  if (naming.kind !== 'directory') return { directories, name: own };
  return { directories: [...directories, ...elementsOf(naming.directory)], name: own };
}

/** The file name part of `inflightPath`. A name that would be too long is cut and told apart by a digest. */
export function inflightName(name: string, naming: InflightNaming): string {
  switch (naming.kind) {
    case 'none':
      return fitted('.', name, '.inflight');
    case 'dot':
      // A web server would take orders from `.htaccess`, for as long as whoever sends it likes.
      return fitted('.', name, /^ht/iu.test(name) ? '.inflight' : '');
    case 'extension':
      return fitted('', name, naming.extension);
    case 'directory':
      return fitted('', name, '');
  }
}

function fitted(before: string, name: string, after: string): string {
  // Of no character are there more than three bytes in one unit of a text.
  if (3 * (before.length + name.length + after.length) <= longestName) return before + name + after;
  const room = longestName - Buffer.byteLength(before) - Buffer.byteLength(after);
  if (Buffer.byteLength(name) <= room) return before + name + after;
  const mark = `~${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
  let head = '';
  let bytes = mark.length;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > room) break;
    head += character;
  }
  return before + head + mark + after;
}
