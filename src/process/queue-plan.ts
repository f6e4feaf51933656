import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { QueuePlan } from '../broker/queue-plan.js';
import type { Config, QueueName } from '../config/config.js';
import type { Logger } from '../logger.js';
import { nameQueue } from './queue-name.js';

/** Milliseconds a queue of a dry run outlives its program. */
const REHEARSAL_EXPIRE = 60_000;

export interface QueuePlace {
  readonly state: string;
  readonly olderQueueNames: readonly string[];
  readonly logger: Logger;
}

/**
 * The queue as the configuration wants it, under the name it has or gets. A dry run has a queue of its own that
 * goes with it, so that nothing is taken from the real one.
 */
export function planQueue(
  config: Config,
  wanted: QueueName,
  place: QueuePlace,
  rehearsal: boolean,
): QueuePlan {
  const { queue, bindings } = config;
  const prefix = wanted.kind === 'fixed' ? wanted.name : wanted.prefix;
  if (rehearsal) {
    const name = `${prefix}.dry_run.${String(randomInt(100_000_000)).padStart(8, '0')}`;
    return {
      name,
      durable: false,
      expires: REHEARSAL_EXPIRE,
      messageTtl: undefined,
      declare: true,
      bind: true,
      bindings,
    };
  }
  const named = nameQueue({
    wanted,
    file: queueNameFile(config, prefix, place.state),
    older: place.olderQueueNames,
  });
  if (named.remark !== undefined) place.logger.warning(named.remark);
  return {
    name: named.name,
    durable: queue.durable,
    expires: queue.expire === undefined ? undefined : queue.expire * 1000,
    messageTtl: queue.messageTtl === undefined ? undefined : queue.messageTtl * 1000,
    declare: queue.declareQueue,
    bind: queue.bindQueue,
    bindings,
  };
}

/** `sr_COMP.CFG.USER.qname`, where the existing implementations keep it. */
export function queueNameFile(config: Config, prefix: string, state: string): string {
  const user = /^q_([^.]*)\./.exec(prefix)?.[1] ?? 'queue';
  return join(state, `${config.program}.${config.stateName}.${user}.qname`);
}
