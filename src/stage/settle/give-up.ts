import { PermanentError } from '../../errors.js';
import type { Outcome } from '../../flow/outcome.js';

/** With `retry off`: what failed has ended, and is counted and settled like what can never work. */
export const givenUp = (outcome: Outcome): Outcome =>
  outcome.kind === 'failed'
    ? {
        kind: 'refused',
        error: new PermanentError(499, `${outcome.error.message}; given up, retry is off`, {
          cause: outcome.error,
        }),
      }
    : outcome;
