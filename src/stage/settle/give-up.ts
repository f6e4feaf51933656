import { PermanentError } from '../../errors.js';
import type { Outcome } from '../../flow/outcome.js';
import type { Settler } from '../../flow/stage.js';

const finalOf = (outcome: Outcome): Outcome =>
  outcome.kind === 'failed'
    ? {
        kind: 'refused',
        error: new PermanentError(499, `${outcome.error.message}; given up, retry is off`, {
          cause: outcome.error,
        }),
      }
    : outcome;

/** With `retry off`: what failed has ended, and is settled like what can never work. */
export const givingUp = <S>(settler: Settler<S>): Settler<S> => ({
  ...settler,
  settle: (item, outcome, stop) => settler.settle(item, finalOf(outcome), stop),
});
