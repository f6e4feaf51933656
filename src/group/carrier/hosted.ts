import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.js';
import { FatalError, messageOf } from '../../errors.js';
import { describeBalance } from '../../flow/balance.js';
import type { Logger } from '../../logger.js';
import { removeAbandoned } from '../../process/daemon/abandoned.js';
import { ARRIVAL, troubleOf as complaintOf } from '../../process/daemon/children.js';
import { loggerOf, openLogOf } from '../../process/log/daemon-log.js';
import type { Host } from '../../process/places/host.js';
import type { LineSink } from '../../process/log/log-file.js';
import { troubleOf, waitingIn } from '../../process/daemon/mend.js';
import { placesOf, readOrder } from '../../process/places/order.js';
import { ownState } from '../../process/daemon/own-state.js';
import { resetIfAsked } from '../../process/topology/reset.js';
import { refuseUnavailable, requireComponent } from '../../process/work/run.js';
import type { ConfigurationStatus } from '../../process/daemon/status.js';
import { outfitOf } from '../../process/work/surroundings.js';
import type { Owner } from '../../store/owner/owner.js';
import type { Handlers } from '../../store/owner/server.js';
import { type Entry, orderOf, placeOf } from '../entry.js';
import { type Life, type Work, keepWorking, newLife, stackOf } from './hosted-work.js';

/*
 * One configuration in a process that carries many. It is to the others as if it had a process of its own: it owns
 * its store, has its log, answers on its socket, and is started again with a growing pause when it fails.
 */

/** How one came to its end. */
export type HostedEnd =
  { readonly kind: 'stopped' | 'done' } | { readonly kind: 'failed'; readonly text: string };

export interface Hosted {
  readonly entry: Entry;
  /** Works, or has failed, or has ended. */
  readonly settled: Promise<void>;
  readonly ended: Promise<HostedEnd>;
  readonly state: () => Pick<Life, 'state' | 'reason'>;
  readonly status: () => Promise<ConfigurationStatus>;
  /** Asks it to end; `ended` tells when it has. */
  readonly stop: () => void;
  /** A pause after a failure is over. */
  readonly hurry: () => void;
}

/** Runs a configuration until it is stopped, has failed for good, or is done. Never throws. */
export function openHosted(entry: Entry, machine: Host): Hosted {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  const life = newLife();
  const started = life.since;
  let settle: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => (settle = resolve));
  const become: Work['become'] = (state, reason = '') => {
    Object.assign(life, { state, reason, since: Date.now() });
    settle();
  };
  const hurry = (): void => {
    if (life.state === 'restarting') life.turn.abort();
  };
  const hosting: Hosting = {
    entry,
    host: { ...machine, cwd: entry.cwd },
    life,
    stop: stopping.signal,
    become,
    status: () => statusOf(entry, life, started),
    end: () => stopping.abort(),
    hurry,
  };
  const ended = host(hosting).then((end) => {
    if (end.kind === 'failed') become('failed', end.text);
    else become('stopped', end.kind === 'done' ? 'all is done' : '');
    return end;
  });
  return { entry, settled, ended, state: () => life, status: hosting.status, stop: hosting.end, hurry };
}

/** What one configuration here consists of. */
interface Hosting extends Pick<Work, 'host' | 'stop' | 'become'> {
  readonly entry: Entry;
  readonly life: Life;
  readonly status: () => Promise<ConfigurationStatus>;
  readonly end: () => void;
  readonly hurry: () => void;
}

async function host(hosting: Hosting): Promise<HostedEnd> {
  try {
    const config = readOrder(orderOf(hosting.entry), hosting.host);
    refuseUnavailable(config, requireComponent(config));
    hosting.life.config = config;
    const sink = openLogOf(config, hosting.host, 1);
    try {
      return { kind: await own(hosting, config, sink) };
    } finally {
      sink.close();
    }
  } catch (thrown) {
    return { kind: 'failed', text: messageOf(thrown) };
  }
}

/** Works as the owner of the state. */
async function own(hosting: Hosting, config: Config, sink: LineSink): Promise<'stopped' | 'done'> {
  const { life, host: machine, stop } = hosting;
  const logger = await loggerOf(config, 1, sink);
  try {
    await resetIfAsked(config, outfitOf(config, machine, logger), stop);
    life.owner = await takeState(config, hosting, handlersOf(hosting, sink, logger), logger);
    return await keepWorking(life, life.owner, {
      ...hosting,
      logger,
      sink,
      read: () => readOrder(orderOf(hosting.entry), machine),
    });
  } catch (thrown) {
    logger.critical(thrown instanceof FatalError ? thrown.message : stackOf(thrown));
    throw thrown;
  } finally {
    await life.owner?.close().catch((thrown: unknown) => logger.error(messageOf(thrown)));
    logger.info(`stopped; balance: ${describeBalance(life.earlier)}`);
  }
}

/** What is answered on the socket in the state directory. */
const handlersOf = (hosting: Hosting, sink: LineSink, logger: Logger): Handlers => ({
  status: hosting.status,
  stop: async () => {
    hosting.end();
    return { stopping: true };
  },
  start: async () => {
    hosting.hurry();
    return { instances: (await hosting.status()).instances };
  },
  reload: async () => reload(hosting, sink, logger),
});

/** Whoever had the state before may still be closing it: that one is waited for. */
const takeState = (config: Config, hosting: Hosting, handlers: Handlers, logger: Logger): Promise<Owner> =>
  ownState(
    placesOf(config, hosting.host).state,
    {
      shared: true,
      flush: config.transfer.durability === 'power',
      retryTtl: (config.queue.retryTtl ?? 0) * 1000,
      retryOrder: config.queue.retryOrder,
      abandoned: removeAbandoned,
      logger,
      handlers,
    },
    `${config.program} ${config.name ?? ''}`,
    { stop: hosting.stop },
  );

async function reload(
  { entry, host: machine, life }: Hosting,
  sink: LineSink,
  logger: Logger,
): Promise<{ readonly reloaded: boolean; readonly reason?: string }> {
  sink.reopen();
  try {
    const next = readOrder(orderOf(entry), machine);
    refuseUnavailable(next, requireComponent(next));
    if (placeOf(next) === 'own')
      return { reloaded: false, reason: 'it needs a process of its own now: restart it' };
    logger.info('reload: going on with the configuration as it is now');
    life.config = next;
    // What is posted after the answer must find the queue bound; one that cannot begin does not hold the answer up.
    const arrival = new Promise<void>((resolve) => (life.arrived = resolve));
    life.turn.abort();
    await Promise.race([arrival, sleep(ARRIVAL, undefined, { ref: false })]);
    return { reloaded: true };
  } catch (thrown) {
    logger.error(`reload refused, everything goes on as before: ${messageOf(thrown)}`);
    return { reloaded: false, reason: messageOf(thrown) };
  }
}

/** As a supervisor answers, with one instance. */
async function statusOf(entry: Entry, life: Life, started: number): Promise<ConfigurationStatus> {
  const { owner, state, reason, since, backoff } = life;
  const report = await life.report();
  return {
    program: entry.program,
    configuration: entry.name,
    mode: 'shared',
    pid: process.pid,
    started,
    trouble: owner?.failed.aborted === true ? troubleOf(owner) : undefined,
    ...(await waitingIn(owner)),
    earlier: life.earlier,
    instances: [
      {
        number: 1,
        state,
        reason: reason === '' ? complaintOf(report) : reason,
        pid: state === 'running' ? process.pid : undefined,
        since,
        restarts: backoff.failures(),
        report,
      },
    ],
  };
}
