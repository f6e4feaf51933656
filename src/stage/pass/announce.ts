import type { Publisher } from '../../broker/broker.js';
import { PermanentError, RetryableError } from '../../errors.js';
import type { Result } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import type { Announcement } from '../../message/announcement.js';
import { encodeAnnouncement } from '../../message/v02.js';
import { boundedLog } from '../door/bounded-log.js';

export interface AnnounceOptions {
  readonly exchange: string;
  /** Above 0: the exchange gets two more digits, which depend on the sum, so that equal sums meet. */
  readonly split: number;
  readonly persistent: boolean;
  /** Milliseconds after which the broker drops a post that nobody took; undefined for never. */
  readonly expiration?: number | undefined;
  /** A post that reaches no queue is a failure. */
  readonly requireSubscriber: boolean;
}

/** Publishes `next`, and passes the item on when the broker has confirmed it. */
export function announce(
  publisher: Publisher,
  options: AnnounceOptions,
  logger: Logger,
): Stage<{ readonly next: Announcement; readonly result?: Result }, { readonly result?: Result }> {
  const warned = new Set<string>();
  const warnings = boundedLog(logger, { level: 'warning', most: 100, what: 'headers left out of posts' });
  return {
    name: 'announce',
    isLight: true,
    stop: warnings.flush,
    run: async (item, stop) => {
      const encoded = encodeAnnouncement(item.next);
      if (encoded.kind === 'rejected') {
        throw new PermanentError(encoded.code, `cannot be posted: ${item.next.relPath}: ${encoded.reason}`);
      }
      if (encoded.kind === 'nothing') return pass;
      for (const warning of encoded.warnings) warnings.say(`${warning}: ${item.next.relPath}`);
      const exchange = exchangeFor(options, encoded.message.headers['sum'] ?? '');
      const { routed } = await publisher.publish(
        {
          exchange,
          ...encoded.message,
          persistent: options.persistent,
          ...(options.expiration !== undefined && { expiration: options.expiration }),
        },
        stop,
      );
      // Where nothing was transferred, announcing is what was done.
      const gain = item.result === undefined ? { result: { code: 201, text: 'Published' } } : {};
      if (routed) return gain;
      if (options.requireSubscriber) {
        throw new RetryableError(
          `posted, but nobody is subscribed: ${item.next.relPath} on exchange ${exchange}`,
        );
      }
      if (!warned.has(exchange)) {
        warned.add(exchange);
        logger.warning(
          `nobody is subscribed to ${item.next.topic} on exchange ${exchange}: the post went nowhere`,
        );
      }
      return gain;
    },
  };
}

/** The exchange for a sum header: the sum of its bytes decides about the shard (the format's `post_exchange_split`). */
export function exchangeFor(
  { exchange, split }: Pick<AnnounceOptions, 'exchange' | 'split'>,
  sum: string,
): string {
  if (split === 0) return exchange;
  const total = Buffer.from(sum, 'utf8').reduce((bytes, byte) => bytes + byte, 0);
  return exchange + String(total % split).padStart(2, '0');
}
