import type { ChildProcess } from 'node:child_process';
import type { Config } from '../config/config.js';
import { FatalError, messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import { type Balance, addBalances, describeBalance } from '../flow/balance.js';
import { becomeOwner } from '../store/owner.js';
import { type Children, createChildren } from './children.js';
import { removeAbandoned } from './abandoned.js';
import { untilSignal } from './signals.js';
import type { ConfigurationStatus, InstanceStatus } from './status.js';

/** Milliseconds: the grace that instances give their transfers, and a little to say goodbye. */
export const STOP_GRACE = 4000;

export interface SupervisorOptions {
  readonly config: Config;
  /** State directory of the configuration. */
  readonly state: string;
  readonly logger: Logger;
  /** Starts instance `number` as a child with an IPC channel. */
  readonly spawn: (number: number) => ChildProcess;
  /** Reads the configuration again; throws FatalError when it is wrong now. */
  readonly reread: () => Config;
  readonly reopenLog: () => void;
  /** Called when requests are answered and each instance has given a sign of life, or none will. */
  readonly ready: (instances: readonly InstanceStatus[]) => void;
  readonly now: () => number;
}

/**
 * One configuration, running: owns its store, keeps its instances alive, and answers `status`, `stop` and
 * `reload` on the socket in the state directory. Returns when it was stopped.
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  const { config, logger, now } = options;
  const started = now();
  let isStopping = false;
  let finish: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (finish = resolve));
  const childrenOf = (current: Config): Children =>
    createChildren({
      count: current.running.instances,
      spawn: options.spawn,
      logger,
      silence: current.running.sanityLogDead * 1000,
      now,
      once: current.running.once,
      allDone: () => finish(),
    });
  let children = childrenOf(config);
  /** What the children of earlier configurations have done. */
  const before: Balance[] = [];

  const reload = async (): Promise<{ reloaded: boolean; reason?: string }> => {
    options.reopenLog();
    let next: Config;
    try {
      next = options.reread();
    } catch (thrown) {
      logger.error(`reload refused, everything goes on as before: ${messageOf(thrown)}`);
      return { reloaded: false, reason: messageOf(thrown) };
    }
    logger.info(`reload: ${next.running.instances} instance(s) with the configuration as it is now`);
    await replace(next);
    return { reloaded: true };
  };

  const replace = async (next: Config): Promise<void> => {
    if (next.running.instances === children.status().length) {
      await children.replace(STOP_GRACE);
    } else {
      await children.stop(STOP_GRACE);
      if (isStopping) return;
      before.push(children.earlier());
      children = childrenOf(next);
      children.start();
    }
  };

  const owner = await becomeOwner(options.state, {
    flush: config.transfer.durability === 'power',
    retryTtl: (config.queue.retryTtl ?? 0) * 1000,
    retryOrder: config.queue.retryOrder,
    abandoned: removeAbandoned,
    logger,
    handlers: {
      status: async (): Promise<ConfigurationStatus> => ({
        program: config.program,
        configuration: config.name ?? config.stateName,
        mode: 'daemon',
        pid: process.pid,
        started,
        retries: (await owner?.store.retries.size())?.waiting ?? 0,
        earlier: addBalances([...before, children.earlier()]),
        instances: children.status(),
      }),
      stop: async () => {
        finish();
        return { stopping: true };
      },
      reload,
      // Those that had given up are tried again.
      start: async () => {
        children.start();
        await children.settled();
        return { instances: children.status() };
      },
    },
  });
  if (owner === undefined) {
    throw new FatalError(`${config.program} ${config.name ?? ''} is already running`, { exitCode: 1 });
  }
  const signals = untilSignal({ hangUp: () => void reload() });
  try {
    children.start();
    await Promise.race([children.settled(), asked, signals.ended]);
    const instances = children.status();
    options.ready(instances);
    // When not one can work, there is nothing to supervise: the reason has been told.
    if (!instances.every(({ state }) => state === 'failed')) await Promise.race([asked, signals.ended]);
    isStopping = true;
    logger.info('stopping');
    await children.stop(STOP_GRACE);
  } finally {
    signals.cancel();
    await owner.close();
    logger.info(`stopped; balance: ${describeBalance(addBalances([...before, children.earlier()]))}`);
  }
}
