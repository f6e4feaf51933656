import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError } from '../../errors.js';
import { findOwner } from '../../store/owner/owner-file.js';
import type { ReviewedRetry, ReviewRequest, RetrySize, Store } from '../../store/store.js';
import { removeAbandoned } from './abandoned.js';

/** The retry list of a configuration, for people: whether it runs or not. */
export interface RetryDesk {
  /** A process runs it, and is asked; else this process has the list for the moment. */
  readonly isRunning: boolean;
  readonly size: () => Promise<RetrySize>;
  /** Goes through the list, a step for each request, until `limit` entries have matched. */
  readonly steps: (request: ReviewRequest) => AsyncGenerator<DeskStep>;
  readonly close: () => Promise<void>;
}

export type WaitingEntry = ReviewedRetry;

export interface DeskStep {
  readonly entries: readonly WaitingEntry[];
  readonly matched: number;
  readonly examined: number;
}

/** Milliseconds in which a process that has just begun or ended shows itself. */
const PATIENCE = 5000;

/** @returns undefined where nothing has ever waited. Throws FatalError when the list cannot be had. */
export async function openRetryDesk(state: string): Promise<RetryDesk | undefined> {
  if ((await findOwner(state)) !== undefined) return deskOf(await connected(state), true);
  const directory = join(state, 'store');
  const exists = await stat(directory).then(
    () => true,
    () => false,
  );
  if (!exists) return undefined;
  const { openLevelStore } = await import('../../store/level-store.js');
  const owned = await openLevelStore(directory, { abandoned: removeAbandoned });
  // Somebody was quicker.
  if (owned === undefined) return deskOf(await connected(state), true);
  return deskOf({ retries: owned.join('an operator').retries, close: owned.close }, false);
}

async function connected(state: string): Promise<Pick<Store, 'retries' | 'close'>> {
  const { connectStore } = await import('../../store/owner/remote-store.js');
  try {
    return await connectStore(state, { wait: PATIENCE });
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    throw new FatalError('its retry list is in use by a process that does not answer; try again', {
      cause: thrown,
    });
  }
}

const deskOf = ({ retries, close }: Pick<Store, 'retries' | 'close'>, isRunning: boolean): RetryDesk => ({
  isRunning,
  size: retries.size,
  steps: async function* (request) {
    let left = request.limit;
    let after: string | undefined;
    do {
      const page = await retries.review({ ...request, limit: left, after });
      left -= page.matched;
      after = page.next;
      yield page;
    } while (after !== undefined && left > 0);
  },
  close,
});
