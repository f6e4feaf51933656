import type { Log, Logger } from '../../logger.js';

/** Lines about what strangers sent: the first of a minute, then a count. A flood of bad messages fills no disk. */
export interface BoundedLog {
  readonly say: Log;
  /** Writes the count, if anything was left out: nothing more will be said. */
  readonly flush: () => Promise<void>;
}

export interface BoundedLogOptions {
  readonly level: 'warning' | 'error';
  /** Lines a minute. */
  readonly most: number;
  /** What was left out, after its number: `messages refused`. */
  readonly what: string;
}

const minute = 60_000;

/** What is left out is still written at level debug. */
export function boundedLog(logger: Logger, { level, most, what }: BoundedLogOptions): BoundedLog {
  let begun = 0;
  let said = 0;
  let leftOut = 0;
  let timer: NodeJS.Timeout | undefined;
  const count = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (leftOut > 0) logger[level](`${leftOut} more ${what}, not shown one by one`);
    leftOut = 0;
  };
  return {
    say: (text, fields) => {
      const now = performance.now();
      if (said === 0 || now >= begun + minute) {
        count();
        begun = now;
        said = 0;
      }
      if (said < most) {
        said += 1;
        logger[level](text, fields);
        return;
      }
      leftOut += 1;
      timer ??= setTimeout(count, begun + minute - now).unref();
      logger.debug(text, fields);
    },
    flush: async () => count(),
  };
}
