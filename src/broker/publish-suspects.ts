/** Who has to answer for the end of a publishing channel. */
import { exchangeInReply, replies, replyCode } from './failures.js';
import { failExchange, putBack, settle } from './outbox.js';
import type { Outbox } from './outbox.js';
import { exchangeMissing, exchangeRefused, messageRefused } from './publish-errors.js';

/**
 * What the end of the channel means for the messages that were on it. The answer is how many of them are suspects, to
 * be sent one at a time, because one of them has cost everybody the channel; undefined where it is known which.
 */
export function afterTheEnd(outbox: Outbox, known: Set<string>, error: unknown): number | undefined {
  const unconfirmed = [...outbox.sent].filter((entry) => !entry.settled);
  outbox.sent = new Set();
  outbox.sentBytes = 0;
  for (const entry of unconfirmed) entry.returned = false;
  putBack(outbox, unconfirmed);
  const code = replyCode(error);
  if (code === undefined || code < 400 || code >= 500) {
    // Lost with its connection: nobody's fault.
    return 0;
  }
  const exchange = exchangeInReply(error);
  if (exchange !== undefined && code === replies.notFound) {
    known.delete(exchange);
    failExchange(outbox, exchange, exchangeMissing(exchange, error));
    return undefined;
  }
  if (exchange !== undefined && code === replies.refused) {
    failExchange(outbox, exchange, exchangeRefused(exchange, error));
    return undefined;
  }
  const [only, ...others] = unconfirmed;
  if (only !== undefined && others.length === 0) {
    outbox.queue.delete(only);
    settle(outbox, only, messageRefused(only.message, error));
    return undefined;
  }
  return unconfirmed.length;
}
