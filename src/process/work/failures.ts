import type { Kit } from '../../component/component.js';
import type { Logger } from '../../logger.js';

/** Counts what a program that runs once could not do, and says it at once. */
export function createFailures(logger: Logger): Kit['failures'] {
  let count = 0;
  return {
    count: () => count,
    note: (text) => {
      count += 1;
      logger.error(text);
    },
  };
}
