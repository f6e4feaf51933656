import type { Received, Taken } from '../../flow/item.js';
import type { Outcome } from '../../flow/outcome.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { boundedLog } from '../door/bounded-log.js';
import { aboutOf } from './about.js';

type Item = Taken & Partial<Pick<Received, 'subject'>>;

/** One line for every item that ended otherwise than by a transfer: those have the file log. */
export function logOutcome(logger: Logger, options: { readonly logReject: boolean }): Settler<Item> {
  const refusals = boundedLog(logger, { level: 'error', most: 100, what: 'messages were refused' });
  return {
    name: 'log',
    stop: refusals.flush,
    settle: (item, outcome) => {
      if (outcome.kind === 'refused') refusals.say(lineOf(item, outcome));
      else if (options.logReject && isUnwanted(outcome)) logger.info(lineOf(item, outcome));
      // Every file comes here: no line is made that nobody writes.
      else if (logger.isDebugging) logger.debug(lineOf(item, outcome));
      return undefined;
    },
  };
}

const isUnwanted = (outcome: Outcome): boolean =>
  outcome.kind === 'dropped' || (outcome.kind === 'done' && outcome.code === 304);

function lineOf(item: Item, outcome: Outcome): string {
  const about = aboutOf(item);
  const what = about === undefined ? `message on ${item.exchange}` : `${about.baseUrl} ${about.relPath}`;
  switch (outcome.kind) {
    case 'done':
      return outcome.code === 304
        ? `unchanged: ${what}: ${outcome.text}`
        : `done: ${what}: ${outcome.code} ${outcome.text}`;
    case 'dropped':
      return `rejected: ${what}: ${outcome.by}`;
    case 'refused':
      return `refused: ${what}: ${outcome.error.code} ${outcome.error.message}`;
    case 'failed':
    case 'handed back':
      return `${outcome.kind}: ${what}`;
  }
}
