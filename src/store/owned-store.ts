import { FatalError, messageOf } from '../errors.js';
import { silentLogger, type Logger } from '../logger.js';
import { openAssemblies } from './assembly/assembly.js';
import { openBandwidth } from './bandwidth.js';
import type { Client } from './client.js';
import { table, type Engine } from './engine/engine.js';
import { type Journal, noJournal } from './engine/journal.js';
import { openKeptFiles } from './kept-files.js';
import { leftoversIn } from './leftovers.js';
import { learningOf } from './engine/may-have.js';
import { newestInstants } from './newest.js';
import { openPaths } from './paths.js';
import { openRetries } from './retry/retry-list.js';
import { openSeen } from './seen.js';
import type { RetryOrder, Store } from './store.js';
import { openUsage, type SharedUsage } from './usage.js';

export interface OwnedStoreOptions {
  /** Put every write on the disk before it counts as done, so that it survives a power failure. Default false. */
  readonly flush?: boolean;
  /** Milliseconds after its first failure at which a retry is handed out as expired; 0 never. Default two days. */
  readonly retryTtl?: number;
  /** Which of the retries that are due is handed out first. Default oldest. */
  readonly retryOrder?: RetryOrder;
  /** Told what a dead client left behind, once: see `Paths.enter`. Awaited before the path is free again. */
  readonly abandoned?: (leftover: string) => Promise<void>;
  readonly logger?: Logger;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** A store in the process that owns it. */
export interface OwnedStore {
  /** One more client. Closing what is answered gives up all that the client holds. */
  readonly join: (name: string) => Store;
  readonly usage: Pick<SharedUsage, 'look' | 'recount'>;
  /** Drop what nobody remembers any more; done every minute by itself. */
  readonly expire: () => Promise<void>;
  /**
   * Aborted, with the FatalError that says why, when a write has failed, as on a full disk: nothing can be done any
   * more but to close, and to open it anew when the cause is gone. What was promised until then is on disk.
   */
  readonly failed: AbortSignal;
  /** Ends all clients, writes what is due and closes the files. After a failure it rejects, with all of it done. */
  readonly close: () => Promise<void>;
}

const twoDays = 2 * 86_400_000;
const minute = 60_000;
/** How long the care for one leftover may hold up its path, in milliseconds. */
const abandonDeadline = 30_000;

/** The callback, made such that it always ends. */
function careful(options: OwnedStoreOptions, logger: Logger): (leftover: string) => Promise<void> {
  return async (leftover) => {
    if (options.abandoned === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('it took too long')), abandonDeadline);
    });
    try {
      await Promise.race([options.abandoned(leftover), deadline]);
    } catch (error) {
      logger.warning(
        `could not clear away ${leftover} of a dead process: ${messageOf(error)}; remove it by hand`,
      );
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Expiry on its own clock; it never keeps a process alive. */
function expiring(expire: () => Promise<void>, logger: Logger): () => Promise<void> {
  let last = Promise.resolve();
  const timer = setInterval(() => {
    last = expire().catch((error: unknown) =>
      logger.error(`cannot drop expired entries: ${messageOf(error)}`),
    );
  }, minute);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await last;
  };
}

/** The store, which refuses everything but its end once `check` answers why. */
function guarded(
  { seen, paths, assemblies, retries, bandwidth, usage, keptFiles, close }: Store,
  check: () => FatalError | undefined,
): Store {
  const checked =
    <Args extends readonly unknown[], Answer>(ask: (...args: Args) => Promise<Answer>) =>
    (...args: Args): Promise<Answer> => {
      const refusal = check();
      return refusal === undefined ? ask(...args) : Promise.reject(refusal);
    };
  return {
    seen: {
      claim: checked(seen.claim),
      commit: checked(seen.commit),
      release: checked(seen.release),
      forgetPath: checked(seen.forgetPath),
      count: checked(seen.count),
    },
    paths: { enter: checked(paths.enter), confirm: checked(paths.confirm), leave: checked(paths.leave) },
    assemblies: {
      begin: checked(assemblies.begin),
      placed: checked(assemblies.placed),
      doubt: checked(assemblies.doubt),
      made: checked(assemblies.made),
      lack: checked(assemblies.lack),
      unfinished: checked(assemblies.unfinished),
      installing: checked(assemblies.installing),
      finished: checked(assemblies.finished),
      leave: checked(assemblies.leave),
    },
    retries: {
      add: checked(retries.add),
      ended: checked(retries.ended),
      take: checked(retries.take),
      done: checked(retries.done),
      again: checked(retries.again),
      handBack: checked(retries.handBack),
      size: checked(retries.size),
      review: checked(retries.review),
    },
    bandwidth: { lease: checked(bandwidth.lease) },
    keptFiles: { keep: checked(keptFiles.keep) },
    usage: {
      take: checked(usage.take),
      settle: checked(usage.settle),
      begin: checked(usage.begin),
      counted: checked(usage.counted),
      uncounted: checked(usage.uncounted),
    },
    close,
  };
}

/** The parts over one engine, which is closed with the store. */
export async function openOwnedStore(
  engine: Engine,
  options: OwnedStoreOptions = {},
  journal: Journal = noJournal(),
): Promise<OwnedStore> {
  const logger = options.logger ?? silentLogger;
  const now = options.now ?? Date.now;
  const retryTtl = options.retryTtl ?? twoDays;
  const abandon = careful(options, logger);
  const seen = await openSeen(engine, now);
  const newest = await newestInstants(engine, now, journal);
  const waitingPaths = await learningOf(engine, Buffer.from([table.retryOfPath]));
  const retries = openRetries({
    engine,
    now,
    retryTtl: retryTtl > 0 ? retryTtl : Infinity,
    order: options.retryOrder ?? 'oldest',
    newest,
    waitingPaths,
  });
  const assemblies = await openAssemblies({
    engine,
    now,
    abandon,
    ttl: retryTtl > 0 ? retryTtl : twoDays,
    warn: logger.warning,
  });
  const paths = await openPaths({
    engine,
    now,
    abandon,
    newest,
    assemblies,
    retries,
    leftovers: leftoversIn(journal),
  });
  const bandwidth = openBandwidth(() => performance.now());
  const usage = openUsage(engine, now);
  const keptFiles = openKeptFiles({ engine, now, remove: abandon, logger });
  const expire = async (): Promise<void> => {
    await seen.expire();
    await newest.expire();
    await assemblies.expire();
    await keptFiles.expire();
  };
  const stopExpiring = expiring(expire, logger);
  const failed = AbortSignal.any([engine.failed, journal.failed]);
  const leaving = new Set<() => Promise<void>>();

  const leave = async (client: Client): Promise<void> => {
    const reason = new FatalError(`the store was closed for ${client.name}`);
    retries.leave(client);
    bandwidth.leave(client, reason);
    usage.leave(client);
    // Its blocks before the path that they belong to.
    assemblies.leave(client, reason);
    await paths.leave(client, reason);
    seen.leave(client, reason);
    await engine.written();
  };

  const join = (name: string): Store => {
    const client: Client = { name };
    let left: Promise<void> | undefined;
    const close = (): Promise<void> => {
      left ??= leave(client).finally(() => leaving.delete(close));
      return left;
    };
    leaving.add(close);
    const store = {
      seen: seen.of(client),
      paths: paths.of(client),
      assemblies: assemblies.of(client),
      retries: retries.of(client),
      bandwidth: bandwidth.of(client),
      usage: usage.of(client),
      keptFiles,
      close,
    };
    return guarded(store, () =>
      left === undefined ? undefined : new FatalError(`the store was closed for ${name}`),
    );
  };

  const close = async (): Promise<void> => {
    await Promise.all([stopExpiring(), keptFiles.close()]);
    const ends = [
      ...(await Promise.allSettled([...leaving].map((leaveOne) => leaveOne()))),
      ...(await Promise.allSettled([assemblies.close(), newest.close()])),
    ];
    journal.close();
    ends.push(...(await Promise.allSettled([engine.close()])));
    failed.throwIfAborted();
    for (const one of ends) if (one.status === 'rejected') throw one.reason;
  };
  return { join, usage, expire, failed, close };
}
