import { setTimeout as pause } from 'node:timers/promises';
import { RetryableError } from '../../errors.js';
import { type Stage, pass } from '../../flow/stage.js';

/** `post_rate_limit`: lets so many items a second pass, evenly; 0 is no limit. `now` in milliseconds, never set back. */
export function postRate(perSecond: number, now: () => number = () => performance.now()): Stage<object> {
  const gap = perSecond > 0 ? 1000 / perSecond : 0;
  let free = 0;
  const wait = async (stop: AbortSignal): Promise<object> => {
    const at = Math.max(now(), free);
    free = at + gap;
    const due = at - now();
    if (due <= 0) return pass;
    try {
      await pause(due, undefined, { signal: stop });
    } catch (cause) {
      throw new RetryableError('stopped while post_rate_limit was waited for', { cause });
    }
    return pass;
  };
  return {
    name: 'post-rate',
    isLight: true,
    run: (_item, stop) => (gap === 0 ? pass : wait(stop)),
  };
}
