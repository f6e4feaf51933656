import type { Config } from '../../config/config.js';
import { FatalError, messageOf } from '../../errors.js';
import { openBrokersOf } from '../topology/declare.js';
import {
  type SpoolCounts,
  declareExchanges,
  drainAll,
  draining,
  openSpoolOf,
  tellStrangers,
} from './poster.js';
import type { Outfit } from '../work/surroundings.js';
import { openWay } from './way.js';

/** Milliseconds without a broker after which draining is given up. */
const PATIENCE = 15_000;

/**
 * Posts what waits in the spool of a configuration, and nothing else; also after another process that is at it. A
 * broker that is away is not waited for: what waits is safe, and can be drained another time.
 *
 * @throws FatalError saying why it could not be done, and how many posts wait.
 */
export async function drainConfiguration(
  config: Config,
  outfit: Outfit,
  stop: AbortSignal,
): Promise<SpoolCounts> {
  const { state, logger, now } = outfit;
  const brokers = openBrokersOf(config, outfit);
  const spool = openSpoolOf(config, state, now);
  try {
    await tellStrangers({ state, logger }, spool.directory);
    const publisher = brokers.publisher();
    const { drain, drained, lost } = draining({ config, logger, now }, spool, publisher);
    if ((await spool.depth()) > 0) {
      const given = new AbortController();
      const done = new AbortController();
      const over = AbortSignal.any([stop, given.signal]);
      void openWay(brokers.posting())
        .lost(PATIENCE, done.signal)
        .then(() => given.abort());
      try {
        await brokers.posting().link(over, { failFast: true });
        await declareExchanges(brokers, config, over);
        await drainAll(spool, drain, over);
      } finally {
        done.abort();
      }
    }
    return {
      spooled: 0,
      drained: drained(),
      lost: lost(),
      waiting: await spool.depth(),
      directory: spool.directory,
    };
  } catch (thrown) {
    const waiting = await spool.depth();
    throw new FatalError(`${messageOf(thrown)} ${waiting} posts wait in ${spool.directory}`, {
      cause: thrown,
    });
  } finally {
    await brokers.close();
  }
}
