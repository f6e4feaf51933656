import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { QueuePlan } from '../../broker/queue-plan.js';
import type { Config, QueueName } from '../../config/config.js';
import { bindingsOfInstance, queueOfInstance } from '../../config/reading/bindings.js';
import { FatalError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { nameQueue } from './queue-name.js';

/** Milliseconds a queue of a dry run outlives its program. */
const REHEARSAL_EXPIRE = 60_000;

export interface QueuePlace {
  readonly state: string;
  readonly olderQueueNames: readonly string[];
  readonly logger: Logger;
}

/** The queue of one instance, before anything is asked or written. */
export interface OwnQueue {
  /** Undefined where nothing is consumed. */
  readonly wanted: QueueName | undefined;
  readonly bindings: QueuePlan['bindings'];
  /** Distinguishes the files of a queue that one instance has for itself; empty where all share one. */
  readonly suffix: string;
}

/** The queue of an instance: shared by all, unless each of them reads an exchange of its own. */
export function ownQueue(config: Config, instance: number): OwnQueue {
  const wanted = queueOfInstance(config, instance);
  const suffix = config.queue.exchangeSplit ? prefixOf(wanted).slice(prefixOf(config.queueName).length) : '';
  return { wanted, bindings: bindingsOfInstance(config, instance), suffix };
}

/** The queues of a configuration: one, or one for each instance. */
export const ownQueues = (config: Config): readonly OwnQueue[] =>
  Array.from({ length: config.queue.exchangeSplit ? config.running.instances : 1 }, (_, at) =>
    ownQueue(config, at + 1),
  );

/** One process reads one exchange of a split, and would leave the others unread. */
export function refuseSplitInFront({ queue, running, program }: Config): void {
  if (!queue.exchangeSplit || running.instances === 1) return;
  throw new FatalError(
    `exchange_split: each of the ${running.instances} instances reads an exchange of its own, so one process in ` +
      `the foreground would leave the others unread. Use ${program} start`,
    { exitCode: 2 },
  );
}

const prefixOf = (name: QueueName | undefined): string =>
  name === undefined ? '' : name.kind === 'fixed' ? name.name : name.prefix;

/**
 * A queue as the configuration wants it, under the name it has or gets; undefined where nothing is consumed. A dry run
 * has a queue of its own that goes with it, so that nothing is taken from the real one.
 */
export function planQueue(
  config: Config,
  own: OwnQueue,
  place: QueuePlace,
  rehearsal: boolean,
): QueuePlan | undefined {
  const { queue } = config;
  const { wanted, bindings } = own;
  if (wanted === undefined) return undefined;
  if (rehearsal) {
    const name = `${prefixOf(wanted)}.dry_run.${String(randomInt(100_000_000)).padStart(8, '0')}`;
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
  const named = nameQueue({ wanted, ...queueNameFiles(config, own, place) });
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

/** Where the name of a queue is kept: `sr_COMP.CFG.USER.qname`, as the existing implementations do. */
export function queueNameFiles(
  config: Config,
  { wanted, suffix }: OwnQueue,
  { state, olderQueueNames }: Pick<QueuePlace, 'state' | 'olderQueueNames'>,
): { readonly file: string; readonly older: readonly string[] } {
  const user = /^q_([^.]*)\./.exec(prefixOf(wanted))?.[1] ?? 'queue';
  return {
    file: join(state, `${config.program}.${config.stateName}.${user}${suffix}.qname`),
    // Earlier versions kept one name.
    older: suffix === '' ? olderQueueNames : [],
  };
}

/** Where the bindings of a queue are remembered. */
export const bindingsPath = ({ suffix }: OwnQueue, { state }: Pick<QueuePlace, 'state'>): string =>
  join(state, `bindings${suffix}.json`);
