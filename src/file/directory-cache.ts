import type { Handle } from './directory-handle.js';

/** An open directory and where it stands below the root. */
export interface Kept {
  readonly handle: Handle;
  /** Relative to the root; empty for the root itself. */
  readonly relative: string;
  /** Users that need it open. */
  pins: number;
  /** Forgotten: to be closed when the last pin goes. */
  dropped: boolean;
  /** Its name, and the names of all directories above it up to the root, have been flushed to the disk. */
  isAnchored: boolean;
}

/** Directories kept open, the least recently used of which go first. */
export interface DirectoryCache {
  /** A directory that is open from earlier and still where it was. */
  readonly recall: (relative: string) => Kept | undefined;
  readonly keep: (handle: Handle, relative: string) => Kept;
  readonly clear: () => void;
}

/** A directory that was just opened. */
export const keptOf = (handle: Handle, relative: string): Kept => ({
  handle,
  relative,
  pins: 0,
  dropped: false,
  isAnchored: false,
});

/** Forgets a directory; it is closed now or when its last pin goes. */
export function drop(kept: Kept): void {
  kept.dropped = true;
  if (kept.pins === 0) kept.handle.close();
}

/** Gives a pin back. */
export function unpin(kept: Kept): void {
  kept.pins -= 1;
  if (kept.dropped && kept.pins === 0) kept.handle.close();
}

/** Only canonical paths may be keys: what a link leads to may change without the directory changing. */
export function openCache(capacity: number): DirectoryCache {
  const cache = new Map<string, Kept>();
  return {
    recall: (relative) => {
      const kept = cache.get(relative);
      if (kept === undefined) return undefined;
      cache.delete(relative);
      if (kept.handle.isCurrent()) {
        cache.set(relative, kept);
        return kept;
      }
      drop(kept);
      return undefined;
    },
    keep: (handle, relative) => {
      const kept = keptOf(handle, relative);
      cache.set(relative, kept);
      const [oldest] = cache;
      if (cache.size > capacity && oldest !== undefined) {
        cache.delete(oldest[0]);
        drop(oldest[1]);
      }
      return kept;
    },
    clear: () => {
      for (const kept of cache.values()) drop(kept);
      cache.clear();
    },
  };
}
