import type { Found } from '../../flow/posted.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';

/** Counts what a program that runs once could not do. */
export interface Failures {
  readonly count: () => number;
  readonly note: (text: string) => void;
}

/** Where it is said what was left out, and whether that is news (`log_reject`) or only of interest to a debugger. */
export interface PostLog {
  readonly logger: Logger;
  readonly logReject: boolean;
}

function tell(log: PostLog | undefined, text: string): void {
  if (log?.logReject === true) log.logger.info(text);
  else log?.logger.debug(text);
}

/** The settler of programs without a queue: what failed is said at once, and decides the exit code. */
export function exitCode(failures: Failures, log?: PostLog): Settler<Found> {
  return {
    name: 'exit-code',
    settle: (item, outcome) => {
      if (outcome.kind === 'refused' || outcome.kind === 'failed') {
        failures.note(`not posted: ${item.path}: ${outcome.error.message}`);
      } else if (outcome.kind === 'handed back') {
        failures.note(`not posted: ${item.path}: stopped`);
      } else if (outcome.kind === 'dropped') {
        tell(log, `rejected: ${item.path}: ${outcome.by}`);
      } else if (outcome.code === 304) {
        tell(log, `unchanged: ${item.path}: ${outcome.text}`);
      }
      return undefined;
    },
  };
}
