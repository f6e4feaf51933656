import type { Logger } from '../logger.js';

/*
 * Reasons for which the queue waits: nothing is acknowledged meanwhile, so the broker gives out no more than what is in
 * hand already. Whoever holds lets go by itself when its reason is gone.
 */

/** What holds up the work of a process, and who waits for its end. */
export interface Holds {
  /** Holds until the function that is returned is called. */
  readonly begin: (reason: string) => () => void;
  /** Something slowed us down just now. */
  readonly note: (reason: string) => void;
  /** Why nothing goes on, or goes on slowly; undefined while all is well. */
  readonly reason: () => string | undefined;
  /** Resolves when nobody holds any more; undefined when nobody does. Rejects with the signal's reason. */
  readonly over: (stop: AbortSignal) => Promise<void> | undefined;
}

/** Milliseconds between two lines about the same. */
const SAY_EVERY = 60_000;

/** Milliseconds for which what was noted counts. */
const NOTED = 5000;

/** `now` in milliseconds. Says one line a minute, however much is held. */
export function createHolds(logger: Logger, now: () => number): Holds {
  const held = new Map<symbol, string>();
  const waiting = new Set<() => void>();
  let noted: { readonly reason: string; readonly at: number } | undefined;
  let said = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  const say = (reason: string): void => {
    if (now() - said < SAY_EVERY) return;
    said = now();
    logger.warning(`the queue waits: ${reason}`);
  };
  const first = (): string | undefined => {
    const [reason] = held.values();
    return reason;
  };
  const end = (key: symbol): void => {
    if (!held.delete(key) || held.size > 0) return;
    clearInterval(timer);
    logger.info('the queue goes on');
    said = Number.NEGATIVE_INFINITY;
    for (const go of [...waiting]) go();
  };

  return {
    begin: (reason) => {
      const key = Symbol(reason);
      if (held.size === 0) {
        timer = setInterval(() => say(first() ?? reason), SAY_EVERY);
        timer.unref();
      }
      held.set(key, reason);
      say(reason);
      return () => end(key);
    },
    note: (reason) => {
      noted = { reason, at: now() };
      say(reason);
    },
    reason: () => {
      const slow = noted !== undefined && now() - noted.at < NOTED ? noted.reason : undefined;
      return first() ?? slow;
    },
    over: (stop) => {
      if (held.size === 0) return undefined;
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(go);
          stop.removeEventListener('abort', abort);
        };
        const go = (): void => {
          leave();
          resolve();
        };
        const abort = (): void => {
          leave();
          reject(stop.reason as Error);
        };
        if (stop.aborted) {
          reject(stop.reason as Error);
          return;
        }
        waiting.add(go);
        stop.addEventListener('abort', abort, { once: true });
      });
    },
  };
}
