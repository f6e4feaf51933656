import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Publisher } from '../../broker/broker.js';
import { openTopology } from '../../broker/topology.js';
import type { Config } from '../../config/config.js';
import { redact } from '../../config/url.js';
import { RetryableError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { type Spool, openSpool } from '../../store/spool/spool.js';
import type { Drained } from '../../store/spool/spool-drain.js';
import { pause } from '../../broker/backoff.js';
import type { Brokers } from '../topology/brokers.js';
import { exchangesOf } from '../topology/exchanges.js';
import { allSpools, spoolsOf } from './spools.js';
import { PATIENCE, openSpoolingPublisher } from './spooling-publisher.js';
import { openWay, tellWaiting } from './way.js';

/** Milliseconds between two looks whether another process has drained the spool. */
const LOOK_AGAIN = 200;

/** What a program that posts has to do with the spool. */
export interface SpoolCounts {
  /** Posts of this run that were kept on disk. */
  readonly spooled: number;
  /** Posts of earlier runs, and of this one, that were posted from there. */
  readonly drained: number;
  /** Posts that waited too long, and files kept apart. */
  readonly lost: number;
  readonly waiting: number;
  readonly directory: string;
}

/** The side of a program that posts and ends which looks at the broker: it waits for it, or keeps posts on disk. */
export interface Poster {
  /** For the recipe. */
  readonly publisher: Publisher;
  /** Before the first post. Throws FatalError when waiting for the broker makes no sense. */
  readonly ready: (stop: AbortSignal) => Promise<void>;
  /** After the last post. */
  readonly finish: (stop: AbortSignal) => Promise<void>;
  readonly counts: () => Promise<SpoolCounts>;
  readonly close: () => void;
}

export interface PosterParts {
  readonly config: Config;
  readonly brokers: Brokers;
  /** State directory of the configuration. */
  readonly state: string;
  readonly logger: Logger;
  readonly failed: (text: string) => void;
  readonly now: () => number;
}

/** Posts for another broker or another exchange are none of ours. */
function spoolDirectory({ posting }: Config, state: string): string {
  const identity = JSON.stringify([posting.postBroker, posting.postExchange]);
  return join(allSpools(state), createHash('sha256').update(identity).digest('hex').slice(0, 12));
}

/** The spool for what a configuration posts. */
export const openSpoolOf = (config: Config, state: string, now: () => number): Spool =>
  openSpool({
    directory: spoolDirectory(config, state),
    destination: `${config.posting.postBroker.map(redact).join(',')} exchange ${config.posting.postExchange ?? ''}`,
    flush: config.transfer.durability === 'power',
    now,
  });

/** Sees to the exchanges that a configuration posts to, where it may. Waits for the broker. */
export async function declareExchanges(brokers: Brokers, config: Config, stop: AbortSignal): Promise<void> {
  if (!config.queue.declareExchange) return;
  const topology = openTopology(brokers.posting());
  await Promise.all(
    exchangesOf(config).map((name) => topology.ensureExchange(name, { declare: true }, stop)),
  );
}

export interface Draining {
  readonly drain: (stop: AbortSignal) => Promise<Drained>;
  readonly drained: () => number;
  readonly lost: () => number;
}

/** Draining by way of a publisher; counts and says what was posted. */
export function draining(
  { config, logger, now }: Pick<PosterParts, 'config' | 'logger' | 'now'>,
  spool: Spool,
  publisher: Publisher,
): Draining {
  let drained = 0;
  let lost = 0;
  return {
    drained: () => drained,
    lost: () => lost,
    drain: async (stop) => {
      const result = await spool.drain({
        send: (post) => publisher.publish(post, stop),
        ttl: (config.queue.retryTtl ?? 0) * 1000,
        now,
        logger,
        stop,
      });
      drained += result.posted;
      lost += result.expired + result.apart;
      if (result.posted > 0) logger.info(`${result.posted} posts that waited in the spool were posted`);
      return result;
    },
  };
}

/** Says what waits for a destination that the configuration no longer names: nobody posts it. */
export async function tellStrangers(
  { state, logger }: Pick<PosterParts, 'state' | 'logger'>,
  own: string,
): Promise<void> {
  for (const { directory, destination, waiting } of await spoolsOf(state)) {
    if (directory === own) continue;
    logger.warning(
      `${waiting} posts wait in ${directory} for ${destination}, where this configuration no longer posts: ` +
        'put that back and run sr_post --drain, or remove the directory',
    );
  }
}

/** Posts all that waits, also after whoever else is at it. Returns early when `stop` is aborted. */
export async function drainAll(spool: Spool, drain: Draining['drain'], stop: AbortSignal): Promise<void> {
  while (!stop.aborted && (await spool.depth()) > 0) {
    if ((await drain(stop)).busy) await pause(LOOK_AGAIN, stop);
  }
}

/** Tries again what the broker's absence has cut short; returns early when `stop` is aborted. */
export async function untilDone(work: () => Promise<void>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      await work();
      return;
    } catch (thrown) {
      if (!(thrown instanceof RetryableError)) throw thrown;
      await pause(LOOK_AGAIN, stop);
    }
  }
}

/** Waits for the broker as long as it takes, and says so. */
function openWaitingPoster(parts: PosterParts): Poster {
  const { config, brokers, logger, failed } = parts;
  const publisher = brokers.publisher();
  const spool = openSpoolOf(config, parts.state, parts.now);
  const { drain, drained, lost } = draining(parts, spool, publisher);
  const quiet = tellWaiting(
    brokers.posting(),
    () => publisher.status().queued + publisher.status().unconfirmed,
    logger,
  );
  return {
    publisher,
    ready: async (stop) => {
      await tellStrangers(parts, spool.directory);
      try {
        await brokers.posting().link(stop, { failFast: true });
      } catch (thrown) {
        // An outage: it has been said, and is waited out.
        if (!(thrown instanceof RetryableError)) throw thrown;
      }
      await untilDone(() => declareExchanges(brokers, config, stop), stop);
      try {
        await drainAll(spool, drain, stop);
      } catch (thrown) {
        failed(`what waits in ${spool.directory} cannot be posted: ${messageOf(thrown)}`);
      }
    },
    finish: async () => undefined,
    counts: async () => ({
      spooled: 0,
      drained: drained(),
      lost: lost(),
      waiting: await spool.depth(),
      directory: spool.directory,
    }),
    close: quiet,
  };
}

/** Keeps on disk what the broker does not take. */
function openSpoolingPoster(parts: PosterParts): Poster {
  const { config, brokers, logger, failed } = parts;
  const raw = brokers.publisher();
  const spool = openSpoolOf(config, parts.state, parts.now);
  const { drain, drained, lost } = draining(parts, spool, raw);
  const publisher = openSpoolingPublisher({
    publisher: raw,
    way: openWay(brokers.posting()),
    spool,
    prepare: (stop) => declareExchanges(brokers, config, stop),
    drain,
    failed,
    logger,
  });
  return {
    publisher,
    ready: async (stop) => {
      await tellStrangers(parts, spool.directory);
      const limit = new AbortController();
      const over = AbortSignal.any([stop, limit.signal]);
      // Held by its timer: a signal of the platform's own that nobody else holds may be forgotten before its time.
      void pause(PATIENCE, over).then(() => limit.abort());
      try {
        await brokers.posting().link(over, { failFast: true });
      } catch (thrown) {
        // What an operator has to mend is said at once; an outage is what the spool is for.
        if (!(thrown instanceof RetryableError)) throw thrown;
      } finally {
        limit.abort();
      }
    },
    finish: publisher.finish,
    counts: async () => ({
      spooled: publisher.spooled(),
      drained: drained(),
      lost: lost(),
      waiting: await spool.depth(),
      directory: spool.directory,
    }),
    close: publisher.close,
  };
}

export const openPoster = (parts: PosterParts): Poster =>
  parts.config.posting.spool ? openSpoolingPoster(parts) : openWaitingPoster(parts);
