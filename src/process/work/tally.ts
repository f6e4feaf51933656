import type { Kit } from '../../component/component.js';
import { type LargeFile, type Seen, blockIn, createLargeFiles } from '../../flow/large-file.js';
import { publishedAt } from '../../flow/published.js';

/** What has been moved so far, for people who watch, and for status. */
export interface Tally {
  /** Files transferred, removed, linked or announced: one that comes in blocks when it is whole. */
  readonly files: number;
  /** Blocks of files that come in several. */
  readonly blocks: number;
  /** Of the files and blocks that ended as done. */
  readonly bytes: number;
  /** The file of which a block has ended last, while others are to come. */
  readonly large: LargeFile | undefined;
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
  const counts = { files: 0, blocks: 0, bytes: 0, unchanged: 0, failures: 0 };
  const largeFiles = createLargeFiles();
  let lastDone: number | undefined;
  let lag: number | undefined;
  const pace = createPace(now);

  const countBlock = (item: Seen, code: number): void => {
    const { gathered, path = '', complete = false, endsAssembly = false, bytes = 0 } = item;
    if (gathered === undefined && code === 304) {
      counts.unchanged += 1;
      return;
    }
    if (gathered !== undefined) {
      largeFiles.gathered(path, gathered, complete || endsAssembly);
      if (complete) counts.files += 1;
      else if (endsAssembly) counts.unchanged += 1;
    }
    counts.blocks += 1;
    counts.bytes += bytes;
  };
  const countWhole = (item: Seen, code: number, inBlocks: number): void => {
    if (code === 304) counts.unchanged += 1;
    else {
      counts.files += 1;
      counts.bytes += Math.max(0, (item.bytes ?? item.stat?.size ?? 0) - inBlocks);
    }
  };

  /** Files are announced as a whole or in blocks; the file itself ends after its last part. */
  const countPart = (item: Seen): void => {
    const parts = blockIn(item);
    if (parts === undefined) return;
    const { bytes } = largeFiles.told(item.path ?? '', parts);
    counts.blocks += 1;
    counts.bytes += bytes;
  };

  const settle = (item: Seen, outcome: Outcome): void => {
    const isDone = outcome.kind === 'done';
    if (item.draft !== undefined && item.subject !== undefined) {
      if (isDone) countPart(item);
      return;
    }
    const inBlocks = item.draft === undefined ? 0 : largeFiles.ended(item.path ?? '');
    if (outcome.kind === 'refused' || outcome.kind === 'failed') counts.failures += 1;
    if (!isDone) return;
    lastDone = now();
    const published = publishedAt(item);
    lag = published === undefined ? undefined : Math.max(0, lastDone - published);
    pace.count();
    if (blockIn(item) === undefined) countWhole(item, outcome.code, inBlocks);
    else countBlock(item, outcome.code);
  };

  return {
    tally: () => ({ ...counts, large: largeFiles.current(), lastDone, lag, rate: pace.rate() }),
    watcher: {
      name: 'tally',
      settle: (item: object, outcome: Outcome) => {
        settle(item, outcome);
        return undefined;
      },
    },
  };
}
