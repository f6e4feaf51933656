/** Lets a program die, or one of its steps fail, at the k-th thing it does to the outside world. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Ended } from '../servers/programs.js';

type Strike = 'kill' | 'fail';

/** Steps of one piece of work at most: more means that the work never ends. */
const MOST_STEPS = 200;

/** Environment of a program that is to be struck at step `at` after it has first seen `mark` ('' counts from its start). */
export const strikeAt = (how: Strike, at: number, mark: string): Readonly<Record<string, string>> => ({
  NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'strike.mjs')).href}`,
  STRIKE_HOW: how,
  STRIKE_AT: String(at),
  STRIKE_MARK: mark,
});

/** Which step was struck; undefined when the program was through before. */
export const struckStep = ({ stderr }: Ended): string | undefined =>
  /^STRUCK before (.*)$/m.exec(stderr)?.[1];

/**
 * Does `work` with the strike at step 1, 2, 3, ... until it passes untouched; answers what the steps were, in order.
 * `every` above 1 tries only every so many-th step, beginning with the `every`-th unless `first` is given.
 */
export async function strikeEach(
  work: (at: number) => Promise<string | undefined>,
  every = 1,
  first = every,
): Promise<readonly string[]> {
  const steps: string[] = [];
  for (let at = first; at <= MOST_STEPS; at += every) {
    const step = await work(at);
    if (step === undefined) return steps;
    steps.push(step);
  }
  throw new Error(`Not through after ${MOST_STEPS} steps: ${steps.slice(-3).join('; ')}`);
}
