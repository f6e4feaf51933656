import { pause } from '../../broker/backoff.js';
import { ExchangeUnusable, type Outgoing, type Publisher } from '../../broker/broker.js';
import { RetryableError, messageOf } from '../../errors.js';
import type { Result, Taken } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { stringHeaders } from '../../message/v02.js';
import { HEADER_LIMIT } from '../../message/wire.js';
import type { Aimed } from './aim.js';
import { boundedLog } from '../door/bounded-log.js';

export interface ForwardOptions {
  /** The first of these exchanges that is there; where none is, the first. */
  readonly choose: (exchanges: readonly string[], stop: AbortSignal) => string | Promise<string>;
  readonly persistent: boolean;
  /** Say so when nobody reads the exchange: somebody is meant to. */
  readonly read: boolean;
  /** Milliseconds between two tries while the exchange cannot be written to; undefined: the record waits elsewhere. */
  readonly again: number | undefined;
}

/**
 * Sends a record on as it came: topic, body and headers. It passes when the broker has confirmed it. While nothing can
 * be written to the exchange of all records, they wait where they are, and that is said once a minute.
 */
export function forward(
  publisher: Publisher,
  options: ForwardOptions,
  logger: Logger,
): Stage<Taken & Aimed, { readonly result: Result }> {
  const troubles = boundedLog(logger, { level: 'error', most: 1, what: 'tries to pass records on' });
  const unread = boundedLog(logger, { level: 'warning', most: 1, what: 'records that nobody reads' });
  const gate = { isShut: false, isTried: false };
  const send = async (message: Outgoing, stop: AbortSignal): Promise<{ routed: boolean }> => {
    for (;;) {
      // While nothing can be written there, one record tries for all.
      const isTrying = gate.isShut && !gate.isTried;
      if (isTrying) gate.isTried = true;
      try {
        if (gate.isShut && !isTrying) await pause(options.again ?? 0, stop);
        else {
          const sent = await publisher.publish(message, stop);
          gate.isShut = false;
          return sent;
        }
      } catch (thrown) {
        if (!(thrown instanceof ExchangeUnusable) || options.again === undefined) throw thrown;
        gate.isShut = true;
        troubles.say(`records wait: ${messageOf(thrown)}`);
        await pause(options.again, stop);
      } finally {
        if (isTrying) gate.isTried = false;
      }
      if (stop.aborted) throw new RetryableError('stopped while the exchange could not be written to');
    }
  };
  return {
    name: 'forward',
    isLight: true,
    stop: async () => {
      await troubles.flush();
      await unread.flush();
    },
    run: async (item, stop) => {
      const { topic, headers, body, contentType } = wireOf(item);
      const found = options.choose(item.aims, stop);
      const exchange = typeof found === 'string' ? found : await found;
      const { routed } = await send(
        {
          exchange,
          topic,
          headers,
          body,
          contentType: contentType ?? 'text/plain',
          persistent: options.persistent,
          mandatory: options.read,
        },
        stop,
      );
      if (!routed) unread.say(`nobody reads exchange ${exchange}: records that go there are lost`);
      return { result: { code: 201, text: `Forwarded to ${exchange}` } };
    },
  };
}

type Wire = Pick<Outgoing, 'topic' | 'headers' | 'body'> & { readonly contentType: string | undefined };

/** The message as it came, from the queue or from the list of those that wait. */
function wireOf({ delivery, retry }: Taken): Wire {
  if (retry !== undefined) return { ...retry, body: Buffer.from(retry.body, 'utf8') };
  if (delivery === undefined) throw new Error('an item has come from nowhere');
  const { topic, headers, body, contentType } = delivery;
  return { topic, headers: sentHeaders(headers), body, contentType };
}

/** As text, and without what no reader of this format can take. */
function sentHeaders(table: Readonly<Record<string, unknown>>): Record<string, string> {
  const headers = stringHeaders(table);
  for (const [name, value] of Object.entries(headers))
    if (value.length > HEADER_LIMIT || Buffer.byteLength(value) > HEADER_LIMIT) delete headers[name];
  return headers;
}
