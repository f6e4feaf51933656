import type { Announcement } from '../message/announcement.js';
import type { Result } from './item.js';

/* The forms of a program that posts: found on disk, described without reading a byte, ready to be sent. */

/** Something on disk that may have to be announced; the path may be gone, which is announced as a removal. */
export interface Found {
  /** Absolute local path. */
  readonly path: string;
  readonly kind: 'file' | 'link' | 'removed';
  /** Of the file itself; undefined for what is gone. Times in milliseconds since 1970, mode as in stat. */
  readonly stat?: {
    readonly size: number;
    readonly mtimeMs: number;
    readonly atimeMs: number;
    readonly mode: number;
  };
  /** The other half of a rename: absolute local paths. */
  readonly moved?: { readonly from?: string; readonly to?: string };
  readonly result?: Result;
}

/** Named for the world: everything an announcement says except sum and parts. */
export interface Described extends Found {
  readonly draft: Announcement;
}

/** A whole file or one block of it, with its checksum: ready to be sent. */
export interface Ready extends Described {
  readonly subject: Announcement;
  readonly next: Announcement;
}
