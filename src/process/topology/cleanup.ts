import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openTopology } from '../../broker/topology.js';
import type { Config } from '../../config/config.js';
import { FatalError, RetryableError } from '../../errors.js';
import { openBrokersOf } from './declare.js';
import { exchangesOf, isStandardExchange } from './exchanges.js';
import { knownQueueName } from './queue-name.js';
import { ownQueues, queueNameFiles } from './queue-plan.js';
import { askStatus } from '../daemon/reach.js';
import { saveStem } from '../work/saved.js';
import { savedFiles } from '../../store/saved.js';
import { waitingIn } from '../posting/spools.js';
import type { Outfit } from '../work/surroundings.js';

/** What a clean-up would remove, as far as it is there. */
export interface CleanUp {
  readonly queues: readonly string[];
  /** Removed when nothing is bound to them. */
  readonly exchanges: readonly string[];
  readonly state: string;
}

export function planCleanUp(config: Config, outfit: Outfit): CleanUp {
  const queues = ownQueues(config).flatMap((own) => {
    if (own.wanted === undefined) return [];
    return knownQueueName({ wanted: own.wanted, ...queueNameFiles(config, own, outfit) }) ?? [];
  });
  return {
    queues,
    exchanges: exchangesOf(config).filter((name) => !isStandardExchange(name)),
    state: outfit.state,
  };
}

/** Throws FatalError while somebody works with the state. */
export async function refuseWhileRunning(state: string, action: string): Promise<void> {
  const running = await askStatus(state);
  if (running === undefined) return;
  const who = running === 'silent' ? '' : ` (process ${running.pid})`;
  throw new FatalError(`it is running${who}: stop it before ${action}`);
}

/** Removes the queue with what waits in it, unused exchanges, and the state. Tells each thing it did. */
export async function cleanUp(
  config: Config,
  outfit: Outfit,
  plan: CleanUp,
  tell: (text: string) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  const brokers = openBrokersOf(config, outfit);
  try {
    if (plan.queues.length > 0) await brokers.consuming().link(stop, { failFast: true });
    for (const queue of plan.queues) {
      const removed = await openTopology(brokers.consuming()).deleteQueue(queue, {}, stop);
      await tell(removed ? `queue ${queue} removed` : `queue ${queue} was not there`);
    }
    if (plan.exchanges.length > 0) {
      await brokers.posting().link(stop, { failFast: true });
      const topology = openTopology(brokers.posting());
      for (const name of plan.exchanges) {
        const removed = await topology.deleteExchange(name, { ifUnused: true }, stop);
        await tell(removed ? `exchange ${name} removed` : `exchange ${name} left: in use, or not there`);
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof RetryableError)) throw thrown;
    throw new FatalError(`${thrown.message}; nothing was removed from here`, { cause: thrown });
  } finally {
    await brokers.close();
  }
  const waiting = await waitingIn(plan.state);
  if (waiting > 0) await tell(`${waiting} posts that waited in the spool are dropped, not posted`);
  const saved = savedFiles(saveStem(config, plan.state)).filter(({ path }) => dirname(path) === plan.state);
  for (const { path } of saved) await tell(`messages saved in ${path} are dropped`);
  await rm(plan.state, { recursive: true, force: true });
  await tell(`state ${plan.state} removed`);
}
