import { matchUrl } from './retrieval-url.js';
import type { Parts } from './parts.js';
import { partTarget } from './parts.js';
import type { Sum } from './sum.js';

/** What the announced path became. Decided once, when the message is decoded; nobody tests for `R` or `L` later. */
export type Change =
  | { readonly kind: 'write'; readonly parts: Parts | undefined; readonly sum: Sum | undefined }
  | { readonly kind: 'remove' }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'make-directory' };

/** What a post and a report have in common, and all that is left of a message whose change cannot be read. */
export interface Envelope {
  /** Routing key as received, or as it will be sent. */
  readonly topic: string;
  /** Time of the original announcement, `YYYYMMDDHHMMSS.mmm`, kept over every hop. */
  readonly pubTime: string;
  /** Root of the retrieval URL as transmitted, e.g. `http://host/`, or `file:`. Never holds a password. */
  readonly baseUrl: string;
  /** Path below the base URL as transmitted: space is `%20` and `#` is `%23`, nothing else is encoded. */
  readonly relPath: string;
  /**
   * Every header but sum, parts, link, oldname, newname. Values have at most 252 bytes, but for rename, source,
   * from_cluster and to_clusters, without which the message would mean something else.
   */
  readonly headers: ReadonlyMap<string, string>;
}

/** A decoded v02.post (or v03) message: one change to one file, or to one block of one file. */
export interface Announcement extends Envelope {
  readonly change: Change;
  /** The other half of a rename: `from` is `oldname`, `to` is `newname`; decoded paths, checked like relPath. */
  readonly moved?: { readonly from?: string; readonly to?: string };
}

/** Whether more than the envelope is known. */
export const isAnnouncement = (envelope: Envelope | Announcement): envelope is Announcement =>
  'change' in envelope;

/** The text that accept and reject expressions are matched with. */
export const matchTextOf = (envelope: Envelope): string =>
  matchUrl(envelope.baseUrl, envelope.relPath, envelope.headers.get('sundew_extension'));

/**
 * The path, in wire form, of the file that is announced: for a block that is a file of its own it is the file that
 * the block belongs to, when the suffix of the name agrees with the message.
 */
export function targetRelPath(announcement: Announcement): string {
  const { change, relPath } = announcement;
  if (change.kind !== 'write' || change.parts?.method !== 'p') return relPath;
  return partTarget(relPath, change.parts, change.sum) ?? relPath;
}
