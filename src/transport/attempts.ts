import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { RetryableError } from '../errors.js';
import { HostHeld } from './host-failure.js';

export interface AttemptOptions {
  /** Tries within this pass; at least one is made. */
  readonly attempts: number;
  readonly stop: AbortSignal;
  /** Milliseconds before the second try, doubled before each further one. */
  readonly backoff?: number;
  /** A pause longer than this many milliseconds is not waited for: the retry list has more patience. */
  readonly longestPause?: number;
}

/**
 * Does `work` until it succeeds, at most `attempts` times; it is told the number of the try, from 1. Only
 * RetryableError is repeated. The last error is thrown: at once for any other error, when no try is left, when
 * `notBefore` is further away than the longest pause, when the server is left alone, and when stopped.
 */
export async function attempt<T>(work: (number: number) => Promise<T>, options: AttemptOptions): Promise<T> {
  const { attempts, stop, backoff = 500, longestPause = 10_000 } = options;
  for (let number = 1; ; number += 1) {
    try {
      return await work(number);
    } catch (error) {
      if (!(error instanceof RetryableError) || number >= attempts || stop.aborted) throw error;
      // Nobody was asked; to wait here would keep a lane from those who can be.
      if (error instanceof HostHeld) throw error;
      const asked = error.notBefore === undefined ? 0 : error.notBefore.getTime() - Date.now();
      if (asked > longestPause) throw error;
      // Some randomness, so that what failed together does not return together.
      const own = Math.min(backoff * 2 ** (number - 1), longestPause) * (0.75 + Math.random() / 2);
      if (!(await hasPaused(Math.max(asked, own), stop))) throw error;
    }
  }
}

/** False when stopped meanwhile. */
async function hasPaused(milliseconds: number, stop: AbortSignal): Promise<boolean> {
  try {
    setMaxListeners(0, stop);
    await delay(milliseconds, undefined, { signal: stop });
    return true;
  } catch {
    return !stop.aborted;
  }
}
