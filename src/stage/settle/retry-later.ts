import type { Delivery } from '../../broker/broker.js';
import type { Placed, Received, Taken } from '../../flow/item.js';
import type { RetryableError } from '../../errors.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { generationOf } from '../../message/generation.js';
import { stringHeaders } from '../../message/v02.js';
import { parsePubTime } from '../../message/pub-time.js';
import type { RetryIdentity, RetryList } from '../../store/store.js';
import { HostHeld } from '../../transport/host-failure.js';
import { boundedLog } from '../door/bounded-log.js';

type Kept = Taken & Partial<Pick<Received, 'subject'>> & Partial<Pick<Placed, 'target' | 'counterpart'>>;

export interface RetryOptions {
  readonly now: () => number;
  /** What was not tried because its server is left alone keeps its place among those that wait. */
  readonly keepsPlaces?: boolean;
}

/** Milliseconds before the next pass: doubling from five seconds to five minutes. */
export const retryDelay = (tries: number): number => Math.min(5_000 * 2 ** Math.min(tries, 10), 300_000);

/**
 * Keeps what failed, durably, before it is acknowledged; what is kept and comes again and ends well is kept no longer.
 * A retry that failed again waits longer than before, or until the moment its error names.
 */
export function retryLater(retries: RetryList, options: RetryOptions, logger: Logger): Settler<Kept> {
  const failures = boundedLog(logger, {
    level: 'warning',
    most: 100,
    what: 'failures, all to be tried again',
  });
  const keep = async (item: Kept, error: RetryableError): Promise<void> => {
    const tries = (item.retry?.tries ?? 0) + 1;
    const asked = error.notBefore?.getTime() ?? 0;
    // Not tried at all: the moment is known, and one line about the server was enough.
    const isHeld = error instanceof HostHeld;
    const notBefore = isHeld ? asked : Math.max(asked, options.now() + retryDelay(tries - 1));
    const when = new Date(notBefore).toISOString();
    const line = `${error.message}; will be tried again after ${when}`;
    if (isHeld) logger.debug(line, { tries });
    else failures.say(line, { tries });
    if (item.retry !== undefined && isHeld && options.keepsPlaces === true) {
      await retries.handBack(item.retry.id);
      return;
    }
    if (item.retry !== undefined) {
      await retries.again(item.retry.id, { notBefore, reason: error.message });
      return;
    }
    if (item.delivery === undefined) return;
    const instant = item.subject && parsePubTime(item.subject.pubTime)?.instant;
    await retries.add(
      {
        ...identityOf(item.delivery),
        contentType: item.delivery.contentType,
        paths: pathsOf(item),
        party: item.subject && generationOf(item.subject)?.key,
        instant: instant ?? item.takenAt,
        firstFailure: options.now(),
        tries,
        reason: error.message,
      },
      notBefore,
    );
  };
  return {
    name: 'retry-later',
    stop: failures.flush,
    settle: (item, outcome) => {
      if (outcome.kind === 'failed') return keep(item, outcome.error);
      const { delivery } = item;
      // It may wait in the list since we died, or lost the broker, before we could acknowledge it.
      return outcome.kind !== 'handed back' && delivery?.redelivered === true
        ? retries.ended(identityOf(delivery))
        : undefined;
    },
  };
}

const identityOf = ({ exchange, topic, headers, body }: Delivery): RetryIdentity => ({
  exchange,
  topic,
  headers: stringHeaders(headers),
  body: Buffer.from(body).toString('utf8'),
});

/** The path by which a newer event finds what waits; none when it failed before it had a place. */
const pathsOf = ({ target }: Partial<Pick<Placed, 'target'>>): readonly string[] =>
  target === undefined ? [] : [target.path];
