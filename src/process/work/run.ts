import { setTimeout as sleep } from 'node:timers/promises';
import { pause } from '../../broker/backoff.js';
import { componentNamed } from '../../component/all.js';
import type { Component } from '../../component/component.js';
import { refuseOptions, refuseUncalledHooks, withoutEffect } from '../../component/refuse.js';
import type { Config } from '../../config/config.js';
import { FatalError, RetryableError } from '../../errors.js';
import { type Balance, describeBalance } from '../../flow/balance.js';
import type { Flow } from '../../flow/recipe.js';
import { type Audit, createAudit, differences, finalDifferences } from './audit.js';
import { exchangesOf } from '../topology/exchanges.js';
import { type OpenKit, type Surroundings, openKit } from './kit.js';
import { declareExchanges, untilDone } from '../posting/poster.js';
import { waitingText } from './summary.js';

/** Milliseconds after which exchanges that are not seen to yet are no reason to keep silent. */
const DECLARING = 2000;

/** Milliseconds for the queue, where a broker neither answers nor refuses. */
const SUBSCRIBING = 5000;

export interface RunOptions {
  readonly stop: AbortSignal;
  /** Aborted when the store is gone: no grace, not even one that has begun. */
  readonly lost?: AbortSignal | undefined;
  /** Say at once that a broker refuses us, instead of waiting until somebody mends it. */
  readonly failFast: boolean;
  /** Told when the flow is about to start: status asks the kit. */
  readonly running?: (kit: OpenKit, account: Account) => void;
}

/** What became of the items, and what does not add up. */
export interface Account {
  readonly balance: () => Balance;
  readonly differences: () => Promise<readonly string[]>;
}

/** Runs the flow of one configuration in this process until it ends, or until it is stopped. */
export async function runComponent(
  config: Config,
  around: Surroundings,
  options: RunOptions,
): Promise<Balance> {
  const component = requireComponent(config);
  refuseUnavailable(config, component);
  const kit = await openKit(config, around, options.stop);
  try {
    const housekeeping = { look: async (): Promise<void> => undefined };
    const flow = component.build(config, {
      ...kit,
      watcher: withHousekeeping(kit, () => housekeeping.look()),
    });
    const audit = createAudit(() => differences(flow.balance(), kit.door()), kit.logger);
    housekeeping.look = tellBalance(kit, flow, audit);
    for (const text of withoutEffect(config, component.withoutEffect)) kit.logger.warning(text);
    await begin(kit, config, options, { balance: flow.balance, differences: audit.look });
    await flow.run(options.stop, options.lost);
    await kit.poster?.finish(options.stop);
    // Whoever has lost its store could give nothing back: the end of its connections does.
    if (options.lost?.aborted !== true)
      await createAudit(() => finalDifferences(flow.balance(), kit.door()), kit.logger).look();
    if (config.running.once) requireConsumed(kit);
    return flow.balance();
  } finally {
    await kit.close();
  }
}

/** Among the settlers, something that looks at the counts with every round of housekeeping. */
const withHousekeeping = ({ watcher }: OpenKit, look: () => Promise<void>): OpenKit['watcher'] => ({
  ...watcher,
  housekeep: look,
});

/** One line in the log when something has changed since the last. */
function tellBalance({ logger, store }: OpenKit, flow: Flow, audit: Audit): () => Promise<void> {
  let told = describeBalance(flow.balance());
  return async () => {
    await audit.look();
    const text = describeBalance(flow.balance());
    if (text === told) return;
    told = text;
    logger.info(`balance: ${text}${waitingText((await store.retries.size()).waiting)}`);
  };
}

/** Meets the brokers. */
async function begin(kit: OpenKit, config: Config, options: RunOptions, account: Account): Promise<void> {
  if (kit.poster !== undefined) {
    options.running?.(kit, account);
    await kit.poster.ready(options.stop);
    return;
  }
  if (options.failFast) await meetBrokers(kit, config, options.stop);
  const declared = seeToExchanges(kit, config, options.stop);
  // While that broker is away we are as good as running: whoever started us must not take us for hung.
  await Promise.race([declared, sleep(DECLARING, undefined, { ref: false })]);
  await subscribed(kit, options.stop);
  options.running?.(kit, account);
  await declared;
}

/**
 * Whoever hears that we run may post at once, and a broker drops what no queue is bound for: so the queue is bound
 * before it is said, unless it cannot be.
 */
async function subscribed(kit: OpenKit, stop: AbortSignal): Promise<void> {
  const limit = new AbortController();
  const late = pause(SUBSCRIBING, AbortSignal.any([stop, limit.signal]));
  await Promise.race([kit.opened()?.begun, late]);
  limit.abort();
}

/** An empty queue means nothing when the queue is not bound as it should be: who runs once must hear of it. */
function requireConsumed(kit: OpenKit): void {
  const reason = kit.opened()?.status().reason ?? '';
  if (reason !== '')
    throw new FatalError(`the queue is not as configured, so messages may be missing: ${reason}`);
}

/** The recipe of a configuration. Throws FatalError while nobody has written it. */
export function requireComponent(config: Config): Component {
  const component = componentNamed(config.component);
  if (component !== undefined) return component;
  throw new FatalError(
    `${config.program} is not available in this version; its configurations can only be shown`,
    {
      exitCode: 2,
    },
  );
}

/** Options that would be silently without effect are errors. Throws FatalError naming the line. */
export function refuseUnavailable(config: Config, component: Component): void {
  refuseOptions(config, component.refused);
  refuseUncalledHooks(config);
}

/** A refusal by the broker ends a program in the foreground; an outage is waited out. */
async function meetBrokers(kit: OpenKit, config: Config, stop: AbortSignal): Promise<void> {
  if (config.running.dryRun && config.queueName === undefined) return;
  const link = kit.plan === undefined ? kit.brokers.posting() : kit.brokers.consuming();
  try {
    await link.link(stop, { failFast: true });
  } catch (thrown) {
    if (!(thrown instanceof RetryableError)) throw thrown;
    if (!stop.aborted) kit.logger.warning(`${thrown.message}; waiting for the broker`);
  }
}

/**
 * Sees to the exchanges that we post to. Where the broker is away it is waited for; where an exchange is missing
 * and may not be made, posting to it will say so.
 */
async function seeToExchanges(kit: OpenKit, config: Config, stop: AbortSignal): Promise<void> {
  const { dryRun, simulate } = config.running;
  if (exchangesOf(config).length === 0 || dryRun || simulate) return;
  await untilDone(() => declareExchanges(kit.brokers, config, stop), stop);
}
