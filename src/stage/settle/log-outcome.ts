import type { Received, Taken } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { boundedLog } from '../bounded-log.js';

/** One line for every item that ended otherwise than by a transfer: those have the file log. */
export function logOutcome(
  logger: Logger,
  options: { readonly logReject: boolean },
): Settler<Taken & Partial<Pick<Received, 'subject'>>> {
  const refusals = boundedLog(logger, { level: 'error', most: 100, what: 'messages were refused' });
  return {
    name: 'log',
    stop: refusals.flush,
    settle: (item, outcome) => {
      const { message } = item;
      const about =
        item.subject ??
        (message.kind === 'post'
          ? message.announcement
          : message.kind === 'rejected'
            ? message.about
            : undefined);
      const what = about === undefined ? `message on ${item.exchange}` : `${about.baseUrl} ${about.relPath}`;
      switch (outcome.kind) {
        case 'done':
          if (outcome.code === 304 && options.logReject) logger.info(`unchanged: ${what}: ${outcome.text}`);
          else logger.debug(`done: ${what}: ${outcome.code} ${outcome.text}`);
          return undefined;
        case 'dropped':
          if (options.logReject) logger.info(`rejected: ${what}: ${outcome.by}`);
          else logger.debug(`rejected: ${what}: ${outcome.by}`);
          return undefined;
        case 'refused':
          refusals.say(`refused: ${what}: ${outcome.error.code} ${outcome.error.message}`);
          return undefined;
        case 'failed':
        case 'handed back':
          logger.debug(`${outcome.kind}: ${what}`);
          return undefined;
      }
    },
  };
}
