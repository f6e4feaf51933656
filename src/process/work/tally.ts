import type { Kit } from '../../component/component.js';
import { publishedAt } from '../../flow/published.js';

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
  /** Milliseconds from the publication of that item to its end; undefined where nobody says when that was. */
  readonly lag: number | undefined;
  /** Items that ended as done in a second, over the last minute. */
  readonly rate: number;
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

/** Length of the steps in which items are counted, in milliseconds, and how many of them make the rate. */
const STEP = 5000;
const STEPS = 12;

/** Counts in steps, so that a rate costs nothing but twelve numbers. */
function createPace(now: () => number): { readonly count: () => void; readonly rate: () => number } {
  const counts = new Array<number>(STEPS).fill(0);
  const began = now();
  let step = Math.floor(began / STEP);
  const turn = (): number => {
    const current = Math.floor(now() / STEP);
    for (let passed = Math.max(step + 1, current - STEPS + 1); passed <= current; passed += 1)
      counts[passed % STEPS] = 0;
    step = Math.max(step, current);
    return step % STEPS;
  };
  return {
    count: () => {
      const at = turn();
      counts[at] = (counts[at] ?? 0) + 1;
    },
    rate: () => {
      turn();
      const seconds = Math.min(STEPS * STEP, Math.max(STEP, now() - began)) / 1000;
      return counts.reduce((sum, count) => sum + count, 0) / seconds;
    },
  };
}

/** Milliseconds since 1970 come from `now`. */
export function createTally(now: () => number): Counting {
  let files = 0;
  let bytes = 0;
  let unchanged = 0;
  let failures = 0;
  let lastDone: number | undefined;
  let lag: number | undefined;
  const pace = createPace(now);
  return {
    tally: () => ({ files, bytes, unchanged, failures, lastDone, lag, rate: pace.rate() }),
    watcher: {
      name: 'tally',
      settle: (item: object, outcome: Outcome) => {
        if (outcome.kind === 'done') {
          lastDone = now();
          const published = publishedAt(item);
          lag = published === undefined ? undefined : Math.max(0, lastDone - published);
          pace.count();
          if (outcome.code === 304) unchanged += 1;
          else {
            files += 1;
            bytes += bytesOf(item);
          }
        } else if (outcome.kind === 'refused' || outcome.kind === 'failed') failures += 1;
        return undefined;
      },
    },
  };
}
