import { applyPlan } from '../../broker/queue-plan.js';
import { openTopology } from '../../broker/topology.js';
import type { Config } from '../../config/config.js';
import { FatalError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { bindingsFile } from './bindings-file.js';
import { type Brokers, openBrokers } from './brokers.js';
import { exchangesOf } from './exchanges.js';
import { bindingsPath, ownQueues, planQueue } from './queue-plan.js';
import type { Outfit } from '../work/surroundings.js';

export interface Declared {
  readonly exchanges: readonly string[];
  readonly queues: readonly string[];
  /** `EXCHANGE KEY`, each. */
  readonly bindings: readonly string[];
}

/**
 * Makes the queue and the exchanges of a configuration on its brokers; with `bind` the bindings, too. Throws
 * FatalError when the broker cannot be reached or refuses: a command says so at once.
 */
export async function declareOnBrokers(
  config: Config,
  outfit: Outfit,
  how: { readonly bind: boolean },
  stop: AbortSignal,
): Promise<Declared> {
  const brokers = openBrokersOf(config, outfit);
  try {
    return await declareWith(brokers, config, outfit, how, stop);
  } finally {
    await brokers.close();
  }
}

/** The same over connections that are there already, or are opened as needed and left open. */
export async function declareWith(
  brokers: Brokers,
  config: Config,
  outfit: Outfit,
  how: { readonly bind: boolean },
  stop: AbortSignal,
): Promise<Declared> {
  const { logger } = outfit;
  const exchanges = exchangesOf(config);
  if (exchanges.length > 0) {
    await brokers.posting().link(stop, { failFast: true });
    const topology = openTopology(brokers.posting());
    for (const name of exchanges) {
      const found = await topology.ensureExchange(name, { declare: config.queue.declareExchange }, stop);
      if (found === 'missing') throw missingExchange(name);
    }
  }
  if (config.queueName === undefined) return { exchanges, queues: [], bindings: [] };
  const model = await brokers.consuming().link(stop, { failFast: true });
  const queues: string[] = [];
  const bindings: string[] = [];
  for (const own of ownQueues(config)) {
    const planned = planQueue(config, own, outfit, false);
    if (planned === undefined) continue;
    const plan = { ...planned, bind: planned.bind && how.bind };
    const remembered = how.bind ? bindingsFile(bindingsPath(own, outfit)) : undefined;
    const made = await applyPlan(model, plan, remembered, logger, (text) => logger.warning(text));
    if ('trouble' in made) throw new FatalError(made.trouble);
    if (made.troubles.length > 0) throw new FatalError(made.troubles.join('; '));
    queues.push(plan.name);
    bindings.push(...made.wanted.map(({ exchange, key }) => `${exchange} ${key}`));
  }
  return { exchanges, queues, bindings };
}

const missingExchange = (name: string): FatalError =>
  new FatalError(
    `exchange ${name} does not exist and this user may not declare it: ask the administrator of the broker`,
  );

/** The brokers of a configuration for a short errand. */
export const openBrokersOf = (config: Config, outfit: Outfit): ReturnType<typeof openBrokers> =>
  openBrokers({
    config,
    instance: 0,
    version: outfit.version,
    logger: quiet(outfit.logger),
    addressesOf: (urls) => urls.map((url) => outfit.credentials.broker(config.withPassword(url))),
  });

/** That a connection was made and closed is no news where it lasts a moment. */
const quiet = (logger: Logger): Logger => ({ ...logger, info: logger.debug });
