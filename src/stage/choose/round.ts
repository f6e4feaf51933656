import { contentAlgorithm } from '../../checksum/algorithms.js';
import type { Announcement } from '../../message/announcement.js';
import { decodeRelPath } from '../../message/rel-path.js';

/** How a pump in a network of pumps knows what it has passed on before. */
export interface Round {
  /** Milliseconds for which an announcement is known. */
  readonly ttl: number;
  /**
   * `all`, or only `bare`: those that the content of the file here cannot end, because there is none to compare
   * (removals, links, checksums of nothing) or because its place is all that changes (renames).
   */
  readonly what: 'all' | 'bare';
}

/** The key of one announcement on all its ways; undefined where the content decides. */
export function roundKey(announcement: Announcement, { what }: Round): string | undefined {
  if (what === 'bare' && hasContent(announcement)) return undefined;
  const { change, pubTime, relPath } = announcement;
  const sum = change.kind === 'write' && change.sum !== undefined ? Object.values(change.sum).join() : '';
  const parts =
    change.kind === 'write' && change.parts !== undefined ? Object.values(change.parts).join() : '';
  return ['round', pubTime, change.kind, decodeRelPath(relPath), sum, parts].join('\n');
}

/** Whether the content of the file is what an announcement is about, and can be told from another. */
export const hasContent = ({ change, moved }: Announcement): boolean =>
  change.kind === 'write' &&
  moved === undefined &&
  change.sum?.algorithm !== 'z' &&
  contentAlgorithm(change.sum) !== undefined;
