import { setTimeout as pause } from 'node:timers/promises';
import { RetryableError } from '../errors.js';

/** Milliseconds that a plugin gets to end by itself once we are stopped. */
const PATIENCE = 1500;

const isPromise = <T>(answer: T | Promise<T>): answer is Promise<T> =>
  typeof answer === 'object' && answer !== null && 'then' in answer;

/**
 * What a plugin answers, at once where it does. It may take as long as it likes, but not longer than the program runs: once `stop` is
 * aborted it has a moment to end, and is then left behind with a RetryableError. `who` names it there.
 */
export function answered<T>(
  ask: () => T | Promise<T>,
  stop: AbortSignal,
  who: string,
  patience = PATIENCE,
): T | Promise<T> {
  const answer = ask();
  return isPromise(answer) ? inTime(answer, stop, who, patience) : answer;
}

async function inTime<T>(answer: Promise<T>, stop: AbortSignal, who: string, patience: number): Promise<T> {
  const done = new AbortController();
  const leftBehind = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => {
      pause(patience, undefined, { signal: done.signal }).then(
        () => {
          reject(new RetryableError(`${who} did not end when the program was stopped`));
        },
        () => undefined,
      );
    };
    if (stop.aborted) giveUp();
    else stop.addEventListener('abort', giveUp, { once: true, signal: done.signal });
  });
  try {
    return await Promise.race([answer, leftBehind]);
  } finally {
    done.abort();
  }
}
