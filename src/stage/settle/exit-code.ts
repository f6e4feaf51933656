import type { Found } from '../../flow/posted.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';

/** Counts what a program that runs once could not do. */
export interface Failures {
  readonly count: () => number;
  readonly note: (text: string) => void;
}

export function createFailures(logger: Logger): Failures {
  let count = 0;
  return {
    count: () => count,
    note: (text) => {
      count += 1;
      logger.error(text);
    },
  };
}

/** The settler of programs without a queue: what failed is said at once, and decides the exit code. */
export function exitCode(failures: Failures): Settler<Found> {
  return {
    name: 'exit-code',
    settle: async (item, outcome) => {
      if (outcome.kind === 'refused' || outcome.kind === 'failed') {
        failures.note(`not posted: ${item.path}: ${outcome.error.message}`);
      } else if (outcome.kind === 'handed back') {
        failures.note(`not posted: ${item.path}: stopped`);
      }
    },
  };
}
