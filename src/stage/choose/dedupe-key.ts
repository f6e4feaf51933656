import type { Announcement } from '../../message/announcement.js';
import type { Parts } from '../../message/parts.js';
import { decodeRelPath } from '../../message/rel-path.js';

/** What makes two announcements of one content equal: the path, its last element, or the content alone. */
export type Basis = 'path' | 'name' | 'data';

/**
 * The key of an announcement for duplicate suppression; undefined when it can never be a duplicate (its sum says
 * nothing about the content). Blocks differ by their number and the version of their file, whole files by their size.
 */
export function dedupeKey(announcement: Announcement, basis: Basis): string | undefined {
  const path = decodeRelPath(announcement.relPath);
  const { change } = announcement;
  if (change.kind === 'remove') return `R\n${path}`;
  if (change.kind === 'make-directory') return `m\n${path}`;
  if (change.kind === 'link') return `L\n${change.to}\n${path}`;
  const { sum, parts } = change;
  if (sum === undefined || sum.algorithm === '0' || sum.value === '') return undefined;
  if (sum.algorithm === 'z' && basis !== 'path') return undefined;
  const by = basis === 'path' ? path : basis === 'name' ? path.slice(path.lastIndexOf('/') + 1) : '';
  const extent =
    parts !== undefined && parts.method !== '1'
      ? blockExtent(parts, announcement.headers)
      : sum.algorithm === 'n' || parts === undefined
        ? ''
        : String(parts.blockSize);
  return [sum.algorithm, sum.value, by, extent].join('\n');
}

/**
 * Which block of which version of the file: a new version is put together from all of its blocks, so those that it has
 * in common with the one before have to be told again.
 */
function blockExtent(parts: Parts, headers: Announcement['headers']): string {
  const { blockSize, count, remainder, number } = parts;
  const version = [headers.get('mtime') ?? '', headers.get('growth') ?? ''];
  return [blockSize, count, remainder, number, ...version].join();
}
