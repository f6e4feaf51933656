import type { Config } from '../config/config.js';
import { FatalError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Handlers } from '../store/server.js';
import type { Store } from '../store/store.js';
import { removeAbandoned } from './abandoned.js';
import type { OpenKit, Surroundings } from './kit.js';
import { resetIfAsked } from './reset.js';
import { reportOf } from './instance-report.js';
import { type Balance, emptyBalance } from '../flow/balance.js';
import { runComponent } from './run.js';
import type { ConfigurationStatus, InstanceReport } from './status.js';
import type { Tally } from './tally.js';

/** How a run in the foreground ended. */
export interface Finish {
  readonly balance: Balance;
  /** Entries left in the retry list. */
  readonly waiting: number;
}

/** A store, and how to leave it. `lost` is aborted when its owner, another process, is gone. */
interface OpenStore {
  readonly store: Store;
  readonly lost?: AbortSignal;
  readonly close: () => Promise<void>;
}

export interface ForegroundOptions {
  readonly stop: AbortSignal;
  /** Told when the flow is about to start. */
  readonly running: (kit: OpenKit) => void;
  readonly tally: () => Tally;
}

/** Runs a configuration in this process until it ends or is stopped, and returns what became of the items. */
export async function runForeground(
  config: Config,
  around: Omit<Surroundings, 'store' | 'instance'>,
  options: ForegroundOptions,
): Promise<Finish> {
  const { stop } = options;
  const asked = new AbortController();
  let report: () => Promise<InstanceReport | undefined> = async () => undefined;
  const started = around.now();
  const handlers: Handlers = {
    status: async () => statusOf(config, started, await open.store.retries.size(), await report()),
    stop: async () => {
      asked.abort();
      return { stopping: true };
    },
  };
  await resetIfAsked(config, around, stop);
  const open = await openStore(config, around.state, around.logger, handlers);
  try {
    const ending = AbortSignal.any([stop, asked.signal, ...(open.lost === undefined ? [] : [open.lost])]);
    const balance = await runComponent(
      config,
      { ...around, store: open.store, instance: 0 },
      {
        stop: ending,
        failFast: true,
        running: (kit, account) => {
          report = () => reportOf(kit, account, options.tally);
          options.running(kit);
        },
      },
    );
    if (open.lost?.aborted === true && !stop.aborted) throw open.lost.reason;
    return { balance, waiting: (await open.store.retries.size()).waiting };
  } finally {
    await open.close();
  }
}

/**
 * A program that consumes owns its store: its retries must survive it. A program that posts needs one only to
 * recognise duplicates, and shares it with others that post with the same configuration.
 */
async function openStore(
  config: Config,
  state: string,
  logger: Logger,
  handlers: Handlers,
): Promise<OpenStore> {
  const options = {
    handlers,
    flush: config.transfer.durability === 'power',
    retryTtl: (config.queue.retryTtl ?? 0) * 1000,
    retryOrder: config.queue.retryOrder,
    abandoned: removeAbandoned,
    logger,
  };
  const rehearsal = config.running.dryRun || config.running.simulate;
  const posts = config.queueName === undefined;
  const transient = config.component === 'report' || (posts && config.posting.suppressDuplicates === 0);
  // The libraries behind the stores are loaded by those who need them.
  if (rehearsal || transient) {
    const { createMemoryStore } = await import('../store/memory-store.js');
    const owned = await createMemoryStore(options);
    return { store: owned.join('this process'), close: owned.close };
  }
  const { becomeOwner } = await import('../store/owner.js');
  const owner = await becomeOwner(state, options);
  if (owner !== undefined) return { store: owner.store, close: owner.close };
  if (!posts) {
    throw new FatalError(
      `${config.program} ${config.name ?? 'with these options'} is running already; stop it first, or look at it with status`,
    );
  }
  const { connectStore } = await import('../store/remote-store.js');
  const remote = await connectStore(state);
  return { store: remote, lost: remote.lost, close: remote.close };
}

/** The same answer as a supervisor gives, about this one process. */
const statusOf = (
  config: Config,
  started: number,
  { waiting }: { readonly waiting: number },
  report: InstanceReport | undefined,
): ConfigurationStatus => ({
  program: config.program,
  configuration: config.name ?? config.stateName,
  mode: 'foreground',
  pid: process.pid,
  started,
  retries: waiting,
  earlier: emptyBalance,
  instances: [
    { number: 0, state: 'running', reason: '', pid: process.pid, since: started, restarts: 0, report },
  ],
});
