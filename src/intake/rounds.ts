import { setTimeout as sleep } from 'node:timers/promises';
import type { Intake } from '../flow/stage.js';

/** One round of something that is done periodically. */
export interface Round {
  /** From 1. */
  readonly number: number;
}

/** A round at once, and one after each `every` milliseconds, however long the last one took. */
export const rounds = (every: number): Intake<Round> => ({
  name: 'rounds',
  items: async function* (stop) {
    for (let number = 1; !stop.aborted; number += 1) {
      yield { number };
      // The end of the wait is told by the signal.
      await sleep(every, undefined, { signal: stop }).catch(() => undefined);
    }
  },
});
