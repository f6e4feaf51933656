import type { ChildProcess } from 'node:child_process';
import type { Config } from '../../config/config.js';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { type Balance, addBalances, describeBalance } from '../../flow/balance.js';
import type { Owner } from '../../store/owner/owner.js';
import type { Handlers } from '../../store/owner/server.js';
import { ARRIVAL, type Children, createChildren } from './children.js';
import { removeAbandoned } from './abandoned.js';
import { mendStore, troubleOf, waitingIn } from './mend.js';
import { ownState } from './own-state.js';
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

/** The instances, through changes of the configuration and pauses. */
interface Crew {
  readonly status: () => readonly InstanceStatus[];
  /** What the processes that have ended had done. */
  readonly earlier: () => Balance;
  readonly start: () => void;
  readonly settled: () => Promise<void>;
  readonly reload: () => Promise<{ readonly reloaded: boolean; readonly reason?: string }>;
  /** Ends them all; `resume` starts others in their place. */
  readonly hold: () => Promise<void>;
  readonly resume: () => void;
  /** Ends them for good. */
  readonly stop: () => Promise<void>;
}

function createCrew(options: SupervisorOptions, allDone: () => void): Crew {
  const { logger, now } = options;
  const childrenOf = (config: Config): Children =>
    createChildren({
      count: config.running.instances,
      spawn: options.spawn,
      logger,
      silence: config.running.sanityLogDead * 1000,
      now,
      once: config.running.once,
      allDone,
    });
  let current = options.config;
  let children = childrenOf(current);
  let mode: 'working' | 'held' | 'ended' = 'working';
  /** What the children before these have done. */
  const before: Balance[] = [];
  const successors = (): void => {
    before.push(children.earlier());
    children = childrenOf(current);
    children.start();
  };
  const take = async (next: Config): Promise<void> => {
    current = next;
    if (next.running.instances === children.status().length) return children.replace(STOP_GRACE);
    const old = children;
    await old.stop(STOP_GRACE);
    if (mode !== 'working' || children !== old) return;
    successors();
    // What is posted after the answer must find the queue bound; one that cannot start does not hold the answer up.
    await children.settled(ARRIVAL);
  };
  return {
    status: () => children.status(),
    earlier: () => addBalances([...before, children.earlier()]),
    start: () => {
      if (mode === 'working') children.start();
    },
    settled: () => children.settled(),
    reload: async () => {
      options.reopenLog();
      let next: Config;
      try {
        next = options.reread();
      } catch (thrown) {
        logger.error(`reload refused, everything goes on as before: ${messageOf(thrown)}`);
        return { reloaded: false, reason: messageOf(thrown) };
      }
      logger.info(`reload: ${next.running.instances} instance(s) with the configuration as it is now`);
      if (mode === 'working') await take(next);
      else current = next;
      return { reloaded: true };
    },
    hold: async () => {
      mode = 'held';
      await children.stop(STOP_GRACE);
    },
    resume: () => {
      if (mode !== 'held') return;
      mode = 'working';
      successors();
    },
    stop: async () => {
      mode = 'ended';
      await children.stop(STOP_GRACE);
    },
  };
}

/**
 * One configuration, running: owns its store, keeps its instances alive, and answers `status`, `stop` and
 * `reload` on the socket in the state directory. While the store cannot be written, as on a full disk, the instances
 * rest, and go on by themselves. Returns when it was stopped.
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  const { config, logger } = options;
  const ended = new AbortController();
  const crew = createCrew(options, () => ended.abort());
  const owner: Owner = await ownState(
    options.state,
    {
      flush: config.transfer.durability === 'power',
      retryTtl: (config.queue.retryTtl ?? 0) * 1000,
      retryOrder: config.queue.retryOrder,
      abandoned: removeAbandoned,
      logger,
      handlers: handlersOf(options, crew, () => owner, ended),
    },
    `${config.program} ${config.name ?? ''}`,
  );
  const signals = untilSignal({ hangUp: () => void crew.reload() });
  const stop = AbortSignal.any([ended.signal, signals.stop]);
  try {
    crew.start();
    await Promise.race([crew.settled(), untilAborted(stop), untilAborted(owner.failed)]);
    const instances = crew.status();
    options.ready(instances);
    // When not one can work, there is nothing to supervise: the reason has been told.
    const areHopeless = instances.every(({ state }) => state === 'failed');
    while (!areHopeless && !stop.aborted) {
      await Promise.race([untilAborted(stop), untilAborted(owner.failed)]);
      if (!stop.aborted) await rest(owner, crew, logger, stop);
    }
    logger.info('stopping');
    await crew.stop();
  } finally {
    signals.cancel();
    await owner.close().catch((thrown: unknown) => logger.error(messageOf(thrown)));
    logger.info(`stopped; balance: ${describeBalance(crew.earlier())}`);
  }
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The store has failed: nobody works until it is mended. */
async function rest(owner: Owner, crew: Crew, logger: Logger, stop: AbortSignal): Promise<void> {
  const held = crew.hold();
  const isMended = await mendStore(owner, logger, stop);
  await held;
  if (isMended) crew.resume();
}

/** What is answered on the socket. */
function handlersOf(
  { config, now }: SupervisorOptions,
  crew: Crew,
  ownerOf: () => Owner | undefined,
  ended: AbortController,
): Handlers {
  const started = now();
  const trouble = (): string | undefined => {
    const owner = ownerOf();
    return owner?.failed.aborted === true ? troubleOf(owner) : undefined;
  };
  return {
    status: async (): Promise<ConfigurationStatus> => ({
      program: config.program,
      configuration: config.name ?? config.stateName,
      mode: 'daemon',
      pid: process.pid,
      started,
      trouble: trouble(),
      ...(await waitingIn(ownerOf())),
      earlier: crew.earlier(),
      instances: crew.status(),
    }),
    stop: async () => {
      ended.abort();
      return { stopping: true };
    },
    reload: async () => {
      const answer = await crew.reload();
      const reason = trouble();
      return answer.reloaded && reason !== undefined ? { reloaded: false, reason } : answer;
    },
    // Those that had given up are tried again.
    start: async () => {
      crew.start();
      await crew.settled();
      return { instances: crew.status() };
    },
  };
}
