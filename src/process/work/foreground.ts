import type { Config } from '../../config/config.js';
import type { Owner } from '../../store/owner/owner.js';
import type { Logger } from '../../logger.js';
import type { Handlers } from '../../store/owner/server.js';
import type { Store } from '../../store/store.js';
import { removeAbandoned } from '../daemon/abandoned.js';
import type { OpenKit, Surroundings } from './kit.js';
import { mendStore, troubleOf, waitingIn } from '../daemon/mend.js';
import { resetIfAsked } from '../topology/reset.js';
import { reportOf } from './instance-report.js';
import { type Balance, addBalances } from '../../flow/balance.js';
import { type Account, runComponent } from './run.js';
import type { ConfigurationStatus, InstanceReport } from '../daemon/status.js';
import type { Tally } from './tally.js';

/** How a run in the foreground ended. */
export interface Finish {
  readonly balance: Balance;
  /** Entries left in the retry list. */
  readonly waiting: number;
}

/** A store, and how to leave it. Another one takes its place when it had failed: ask for it each time. */
interface OpenStore {
  readonly store: Store;
  /** Aborted when the store cannot be used any more. */
  readonly lost?: AbortSignal;
  /** Waits until it can be used again; false when `stop` came first. Absent where that cannot be. */
  readonly mend?: (stop: AbortSignal) => Promise<boolean>;
  /** Why nothing is done, while that is so. */
  readonly trouble: () => string | undefined;
  readonly close: () => Promise<void>;
}

export interface ForegroundOptions {
  readonly stop: AbortSignal;
  /** Told when the flow is about to start. */
  readonly running: (kit: OpenKit) => void;
  readonly tally: () => Tally;
  /** Other configurations run in this process, too. */
  readonly shared: boolean;
}

/**
 * Runs a configuration in this process until it ends or is stopped, and returns what became of the items. While its
 * store cannot be written, as on a full disk, it waits, as it does for a broker that is away; a run that is to come
 * to an end fails instead.
 */
export async function runForeground(
  config: Config,
  around: Omit<Surroundings, 'store' | 'instance'>,
  options: ForegroundOptions,
): Promise<Finish> {
  const { stop } = options;
  const asked = new AbortController();
  let report: () => Promise<InstanceReport | undefined> = async () => undefined;
  const balances: Balance[] = [];
  const started = around.now();
  const handlers: Handlers = {
    status: async () => statusOf(config, started, open, balances, await report()),
    stop: async () => {
      asked.abort();
      return { stopping: true };
    },
  };
  await resetIfAsked(config, around, stop);
  const how = { stop, shared: options.shared };
  const open = await openStore(config, around.state, around.logger, handlers, how);
  const ending = AbortSignal.any([stop, asked.signal]);
  const once = async (): Promise<void> => {
    const { store, lost } = open;
    let account: Account | undefined;
    try {
      await runComponent(
        config,
        { ...around, store, instance: 0 },
        {
          stop: lost === undefined ? ending : AbortSignal.any([ending, lost]),
          lost,
          failFast: balances.length === 0,
          running: (kit, counts) => {
            account = counts;
            report = () => reportOf(kit, counts, options.tally);
            options.running(kit);
          },
        },
      );
    } catch (thrown) {
      // What met the loss first; it is told by those who mend it.
      if (lost?.aborted !== true) throw thrown;
    } finally {
      report = async () => undefined;
      if (account !== undefined) balances.push(account.balance());
    }
    if (lost?.aborted !== true || ending.aborted) return;
    if (open.mend === undefined || config.running.once) throw lost.reason;
    if (await open.mend(ending)) await once();
  };
  try {
    await once();
    return { balance: addBalances(balances), waiting: (await waitingIn(open)).retries ?? 0 };
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
  { stop, shared }: { readonly stop: AbortSignal; readonly shared: boolean },
): Promise<OpenStore> {
  const options = {
    handlers,
    shared,
    flush: config.transfer.durability === 'power',
    retryTtl: (config.queue.retryTtl ?? 0) * 1000,
    retryOrder: config.queue.retryOrder,
    abandoned: removeAbandoned,
    logger,
  };
  const rehearsal = config.running.dryRun || config.running.simulate;
  const posts = config.queueName === undefined;
  const transient = config.component === 'report' || (posts && config.posting.suppressDuplicates === 0);
  const isWell = (): undefined => undefined;
  // The libraries behind the stores are loaded by those who need them.
  if (rehearsal || transient) {
    const { createMemoryStore } = await import('../../store/memory-store.js');
    const owned = await createMemoryStore(options);
    return { store: owned.join('this process'), trouble: isWell, close: owned.close };
  }
  if (!posts) {
    const { ownState } = await import('../daemon/own-state.js');
    const who = `${config.program} ${config.name ?? 'with these options'}`;
    return ownStore(await ownState(state, options, who, { stop }), logger, posts);
  }
  const { becomeOwner } = await import('../../store/owner/owner.js');
  const owner = await becomeOwner(state, options);
  if (owner !== undefined) return ownStore(owner, logger, posts);
  const { connectStore } = await import('../../store/owner/remote-store.js');
  const remote = await connectStore(state);
  return { store: remote, lost: remote.lost, trouble: isWell, close: remote.close };
}

/** A poster fails with its store: whoever called it can call it again. */
const ownStore = (owner: Owner, logger: Logger, posts: boolean): OpenStore => ({
  get store() {
    return owner.store;
  },
  get lost() {
    return owner.failed;
  },
  ...(!posts && { mend: (stop: AbortSignal) => mendStore(owner, logger, stop) }),
  trouble: () => (owner.failed.aborted ? troubleOf(owner) : undefined),
  close: async () => {
    await owner.close().catch((thrown: unknown) => {
      // Known already, and told.
      if (!owner.failed.aborted) throw thrown;
    });
  },
});

/** The same answer as a supervisor gives, about this one process. */
async function statusOf(
  config: Config,
  started: number,
  open: OpenStore,
  earlier: readonly Balance[],
  report: InstanceReport | undefined,
): Promise<ConfigurationStatus> {
  return {
    program: config.program,
    configuration: config.name ?? config.stateName,
    mode: 'foreground',
    pid: process.pid,
    started,
    trouble: open.trouble(),
    ...(await waitingIn(open)),
    earlier: addBalances(earlier),
    instances: [
      { number: 0, state: 'running', reason: '', pid: process.pid, since: started, restarts: 0, report },
    ],
  };
}
