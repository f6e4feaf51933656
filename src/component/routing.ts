import type { Config } from '../config/config.js';
import type { ReceivedReport, Taken } from '../flow/item.js';
import { type Line, from } from '../flow/line.js';
import type { Flow } from '../flow/recipe.js';
import type { Settler } from '../flow/stage.js';
import { queue } from '../intake/queue.js';
import { admitReport } from '../stage/door/admit.js';
import { chooseReport } from '../stage/choose/choose.js';
import type { Known } from '../stage/choose/first-time.js';
import type { Dialect } from '../stage/pass/aim.js';
import { type ForwardOptions, forward } from '../stage/pass/forward.js';
import { acknowledge } from '../stage/settle/acknowledge.js';
import { logOutcome } from '../stage/settle/log-outcome.js';
import { retryLater } from '../stage/settle/retry-later.js';
import { tellRefused } from '../stage/settle/tell-refused.js';
import type { Component, Kit } from './component.js';
import { paceOf, prefetchOf, queueOptions, withPulse } from './consuming.js';

/* What those that route delivery records have in common. Nothing is ever recorded about records. */

/** What changes nothing in them. */
export const routingOptions = {
  refused: {},
  withoutEffect: {
    report_dialect: 'records go on in the words that they came with, and both are read',
    admin: 'records are routed by the feeder',
  },
} as const satisfies Pick<Component, 'refused' | 'withoutEffect'>;

/** Milliseconds between two tries where records cannot be passed on at all. */
export const AGAIN = 5000;

/** The names of this pump. */
export const ownNames = (config: Config, kit: Kit): ReadonlySet<string> =>
  new Set([config.selection.cluster ?? kit.brokerName, ...config.selection.clusterAliases]);

/** Two exchanges for one thing: that of the record's own dialect first. */
export const eitherOf = (dialect: Dialect, log: string, report: string): readonly string[] =>
  dialect === 'log' ? [log, report] : [report, log];

/** Records as they come from the queue, as far as the rules take them. */
export const records = (config: Config, kit: Kit): Line<Taken, Taken & ReceivedReport> =>
  from(
    queue(kit.consumer(prefetchOf(config, kit)), kit.store.retries, queueOptions(config, kit)),
    paceOf(config, kit),
    kit.logger,
  )
    .to(admitReport())
    .to(chooseReport({ rules: config.rules, acceptUnmatch: config.selection.acceptUnmatch }));

/** The stage that sends them on. */
export const onward = (
  config: Config,
  kit: Kit,
  options: Pick<ForwardOptions, 'read' | 'again'> & Partial<Pick<ForwardOptions, 'choose'>>,
): ReturnType<typeof forward> =>
  forward(
    kit.publisher(),
    { choose: kit.existing, persistent: config.queue.persistent, ...options },
    kit.logger,
  );

/** The end of every record; `first` settles before it is acknowledged. */
export function routed(
  line: Line<Taken, Taken>,
  config: Config,
  kit: Kit,
  ...first: readonly Settler<Taken & Known>[]
): Flow {
  const { logger, store, now } = kit;
  const last: readonly Settler<Taken & Known>[] = [
    ...(config.queue.retry ? [retryLater(store.retries, { now }, logger)] : []),
    ...first,
    tellRefused(logger),
    logOutcome({ ...logger, error: logger.debug }, { logReject: config.running.logReject }),
    kit.watcher,
    acknowledge(),
  ];
  const waiting = async (): Promise<number> => (await store.retries.size()).waiting;
  return withPulse((pulse) => line.settling(pulse, ...last), config, kit, waiting);
}
