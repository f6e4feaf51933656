import type { Kit } from '../component/component.js';

/** What has been moved so far, for people who watch, and for status. */
export interface Tally {
  /** Files transferred, removed, linked or announced. */
  readonly files: number;
  /** Of the files that ended as done. */
  readonly bytes: number;
  /** Found to be here already. */
  readonly unchanged: number;
  /** Refused, or kept for a later try; an item that fails twice counts twice. */
  readonly failures: number;
  /** Milliseconds since 1970 of the last item that ended as done; undefined before the first. */
  readonly lastDone: number | undefined;
}

/** Sits among the settlers and counts. */
export interface Counting {
  readonly watcher: Kit['watcher'];
  readonly tally: () => Tally;
}

type Outcome = Parameters<Kit['watcher']['settle']>[1];

/** Bytes of an item, from whichever form it reached: received from a server, or found on disk. */
function bytesOf(item: object): number {
  if ('bytes' in item && typeof item.bytes === 'number') return item.bytes;
  const stat: unknown = 'stat' in item ? item.stat : undefined;
  if (typeof stat !== 'object' || stat === null || !('size' in stat)) return 0;
  return typeof stat.size === 'number' ? stat.size : 0;
}

/** Milliseconds since 1970 come from `now`. */
export function createTally(now: () => number): Counting {
  let files = 0;
  let bytes = 0;
  let unchanged = 0;
  let failures = 0;
  let lastDone: number | undefined;
  return {
    tally: () => ({ files, bytes, unchanged, failures, lastDone }),
    watcher: {
      name: 'tally',
      settle: async (item: object, outcome: Outcome) => {
        if (outcome.kind === 'done') {
          lastDone = now();
          if (outcome.code === 304) unchanged += 1;
          else {
            files += 1;
            bytes += bytesOf(item);
          }
        } else if (outcome.kind === 'refused' || outcome.kind === 'failed') failures += 1;
      },
    },
  };
}
