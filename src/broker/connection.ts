/**
 * A connection that comes back. It dials its addresses in order, at once after a loss, then with growing waits, for
 * ever; what it is doing and why can be asked at any time. Channels do not survive a loss: whoever uses them asks for
 * a new `link` and sets itself up again.
 */
import type { Channel, ChannelModel } from 'amqplib';
import { FatalError, RetryableError } from '../errors.js';
import { silentLogger } from '../logger.js';
import type { Logger } from '../logger.js';
import { backoff, pause } from './backoff.js';
import type { BrokerAddress, ConnectionState } from './broker.js';
import { dialEitherVhost } from './dial.js';
import type { Dialled, DialOptions } from './dial.js';
import { placeOf } from './failures.js';
import type { DialFailure } from './failures.js';

export interface ConnectionOptions extends DialOptions {
  /** Tried in order; the later ones are fallbacks. */
  readonly addresses: readonly BrokerAddress[];
  /** Milliseconds: the first wait after two failed rounds, and the longest. 500 and 30,000 unless given. */
  readonly firstWait?: number;
  readonly longestWait?: number;
  /** Milliseconds without a connection after which the state is `suspended`; two minutes unless given. */
  readonly suspendAfter?: number;
  readonly random?: () => number;
  readonly log?: Logger;
}

export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** Why it is so; empty while all is well. */
  readonly reason: string;
  /** The broker takes no messages now (memory or disk alarm), and its reason. */
  readonly blocked: string | undefined;
  /** `amqp://user@host:port` in use, or last tried. */
  readonly place: string;
  /** When the state began, milliseconds since 1970. */
  readonly since: number;
  /** Connections made so far. */
  readonly generation: number;
}

export interface BrokerConnection {
  readonly status: () => ConnectionStatus;
  /** Calls `listener` after every change of state, reason or blocking; returns how to end it. */
  readonly onChange: (listener: (status: ConnectionStatus) => void) => () => void;
  /**
   * The open connection; waits for it. Throws RetryableError when `stop` is aborted or the connection is closed for
   * good. With `failFast` the end of the first round without success is told at once: FatalError when an operator
   * is needed, RetryableError for an outage.
   */
  readonly link: (stop?: AbortSignal, how?: { readonly failFast?: boolean }) => Promise<ChannelModel>;
  /** `work` is done, for a second at most, before the connection is closed; returns how to call it off. */
  readonly beforeClose: (work: () => Promise<void>) => () => void;
  /** Ends the connection from any state; harmless when repeated. */
  readonly close: () => Promise<void>;
}

interface Waiter {
  readonly resolve: (model: ChannelModel) => void;
  readonly reject: (error: Error) => void;
  readonly failFast: boolean;
}

/** What a connection is, seen from inside. */
interface Self {
  readonly options: ConnectionOptions;
  readonly log: Logger;
  readonly stopped: AbortController;
  readonly listeners: Set<(status: ConnectionStatus) => void>;
  readonly waiters: Set<Waiter>;
  readonly lastWorks: Set<() => Promise<void>>;
  status: ConnectionStatus;
  current: Dialled | undefined;
  /** Result of the last round, for those who want a failure told at once. */
  failure: Error | undefined;
}

function change(self: Self, next: Partial<ConnectionStatus>): void {
  const before = self.status;
  const after = { ...before, ...next };
  if (after.state === before.state && after.reason === before.reason && after.blocked === before.blocked)
    return;
  self.status = after.state === before.state ? after : { ...after, since: Date.now() };
  for (const listener of [...self.listeners]) listener(self.status);
}

function say(self: Self, state: ConnectionState, reason: string): void {
  if (self.status.state === state && self.status.reason === reason) return;
  if (state === 'connected') self.log.info(`Connected to ${self.status.place}.`);
  else if (state === 'failed') self.log.error(`No connection, and waiting will not help: ${reason}.`);
  else if (state === 'suspended') self.log.error(`No connection for long, still trying: ${reason}.`);
  else self.log.warning(`No connection, trying again: ${reason}.`);
  change(self, { state, reason, blocked: undefined });
}

/** Dials every address once. */
async function round(self: Self): Promise<Dialled | readonly DialFailure[]> {
  const failures: DialFailure[] = [];
  for (const address of self.options.addresses) {
    if (self.stopped.signal.aborted) break;
    const found = await dialEitherVhost(address, self.options, self.stopped.signal);
    if (!('kind' in found)) {
      self.status = { ...self.status, place: placeOf(address), generation: self.status.generation + 1 };
      return found;
    }
    failures.push(found);
  }
  return failures;
}

/** Until the connection is lost; what it was lost of. */
function untilLost(self: Self, { model, destroy }: Dialled): Promise<string> {
  return new Promise((resolve) => {
    let reason = '';
    const lost = (error?: Error): void => {
      if (self.current?.model === model) self.current = undefined;
      // Frees the socket of a peer that is silent rather than gone, after the last frames had their chance.
      setTimeout(destroy, 1000).unref();
      resolve(reason === '' ? (error?.message ?? 'closed') : reason);
    };
    model.on('error', (error) => {
      if (self.current?.model === model) self.current = undefined;
      reason = error.message;
    });
    model.on('close', lost);
    model.on('blocked', (why) => {
      self.log.warning(`The broker ${self.status.place} takes no messages now: ${why}.`);
      change(self, { blocked: why === '' ? 'no reason given' : why });
    });
    model.on('unblocked', () => {
      self.log.info(`The broker ${self.status.place} takes messages again.`);
      change(self, { blocked: undefined });
    });
  });
}

function tellFailure(self: Self, failures: readonly DialFailure[], downSince: number): void {
  const reason = failures.map((failure) => failure.reason).join('; ');
  const needsOperator = failures.length > 0 && failures.every((failure) => failure.kind !== 'outage');
  self.failure = needsOperator
    ? new FatalError(`No connection: ${reason}.`)
    : new RetryableError(`No connection: ${reason}.`);
  const isLong = Date.now() - downSince >= (self.options.suspendAfter ?? 120_000);
  say(self, needsOperator ? 'failed' : isLong ? 'suspended' : 'disconnected', reason);
  for (const waiter of [...self.waiters]) if (waiter.failFast) waiter.reject(self.failure);
}

async function live(self: Self): Promise<void> {
  const { signal } = self.stopped;
  const { firstWait: base = 500, longestWait: longest = 30_000, random = Math.random } = self.options;
  const stopping = new Promise<string>((resolve) => {
    signal.addEventListener('abort', () => {
      resolve('stopped');
    });
  });
  let tried = 0;
  let downSince = Date.now();
  while (!signal.aborted) {
    const wait =
      self.status.state === 'failed'
        ? backoff(64, { base, longest, random })
        : backoff(tried, { base, longest, random });
    await pause(wait, signal);
    const found = await round(self);
    if (signal.aborted) {
      if ('model' in found) found.destroy();
      return;
    }
    if (!('model' in found)) {
      tried += 1;
      tellFailure(self, found, downSince);
      continue;
    }
    const connectedAt = Date.now();
    self.current = found;
    self.failure = undefined;
    const lost = untilLost(self, found);
    say(self, 'connected', '');
    for (const waiter of [...self.waiters]) waiter.resolve(found.model);
    const reason = await Promise.race([lost, stopping]);
    if (self.stopped.signal.aborted) return;
    downSince = Date.now();
    // A connection that dies as soon as it is made must not be dialled in a tight circle.
    tried = downSince - connectedAt >= 1000 ? 0 : tried + 1;
    say(self, 'disconnected', `lost ${self.status.place}: ${reason}`);
  }
}

function link(self: Self, stop: AbortSignal | undefined, failFast: boolean): Promise<ChannelModel> {
  if (self.current !== undefined) return Promise.resolve(self.current.model);
  if (self.stopped.signal.aborted)
    return Promise.reject(new RetryableError('The connection to the broker was closed.'));
  if (stop?.aborted === true)
    return Promise.reject(new RetryableError('Stopped while waiting for the broker.'));
  if (failFast && self.failure !== undefined) return Promise.reject(self.failure);
  return new Promise((resolve, reject) => {
    const end = (): void => {
      self.waiters.delete(waiter);
      stop?.removeEventListener('abort', onStop);
    };
    const waiter: Waiter = {
      failFast,
      resolve: (model) => {
        end();
        resolve(model);
      },
      reject: (error) => {
        end();
        reject(error);
      },
    };
    const onStop = (): void => {
      waiter.reject(new RetryableError('Stopped while waiting for the broker.'));
    };
    stop?.addEventListener('abort', onStop, { once: true });
    self.waiters.add(waiter);
  });
}

/** Milliseconds that the broker may take for our last words, and once more for its goodbye. */
const LAST_WORDS = 1000;

/** Whether the work was done in time. */
async function atMost(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const limit = new AbortController();
  const late = pause(milliseconds, limit.signal).then(() => false);
  const isDone = await Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    late,
  ]);
  limit.abort();
  return isDone;
}

async function end(self: Self, life: Promise<void>): Promise<void> {
  const open = self.current;
  let isHeard = false;
  if (self.status.state === 'connected' && open !== undefined)
    isHeard = await atMost(LAST_WORDS, Promise.allSettled([...self.lastWorks].map((work) => work())));
  change(self, { state: 'closing', reason: 'closed by us' });
  self.stopped.abort();
  for (const waiter of [...self.waiters])
    waiter.reject(new RetryableError('The connection to the broker was closed.'));
  // Whoever waits for a connection learns only now that there will be none.
  void Promise.allSettled([...self.lastWorks].map((work) => work()));
  if (open !== undefined) {
    // One that did not answer is not asked again: whoever stops us waits.
    if (isHeard) await atMost(LAST_WORDS, open.model.close());
    open.destroy();
  }
  await life;
  self.current = undefined;
  change(self, { state: 'closed', reason: 'closed by us' });
}

/** Begins to connect; returns at once. */
export function connectBroker(options: ConnectionOptions): BrokerConnection {
  const first = options.addresses[0];
  if (first === undefined) throw new FatalError('No broker was given.', { exitCode: 2 });
  const self: Self = {
    options,
    log: options.log ?? silentLogger,
    stopped: new AbortController(),
    listeners: new Set(),
    waiters: new Set(),
    lastWorks: new Set(),
    current: undefined,
    failure: undefined,
    status: {
      state: 'connecting',
      reason: '',
      blocked: undefined,
      place: placeOf(first),
      since: Date.now(),
      generation: 0,
    },
  };
  const life = live(self);
  let ending: Promise<void> | undefined;
  return {
    status: () => self.status,
    onChange: (listener) => {
      self.listeners.add(listener);
      return () => {
        self.listeners.delete(listener);
      };
    },
    beforeClose: (work) => {
      self.lastWorks.add(work);
      return () => {
        self.lastWorks.delete(work);
      };
    },
    link: (stop, how) => link(self, stop, how?.failFast ?? false),
    close: () => (ending ??= end(self, life)),
  };
}

/**
 * Runs `work` on a channel of its own, because a refused operation costs the channel. Throws what the library threw;
 * see failures.ts.
 */
export async function onThrowAwayChannel<T>(
  model: ChannelModel,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  const channel = await model.createChannel();
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    channel.on('close', () => {
      isClosed = true;
      resolve();
    });
  });
  channel.on('error', () => undefined);
  try {
    return await work(channel);
  } finally {
    // The library does not answer a close that the connection's end overtakes; the event comes in any case.
    if (!isClosed) void channel.close().catch(() => undefined);
    await closed;
  }
}
