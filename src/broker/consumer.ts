/**
 * A queue as an endless iteration. Every connection gives a new *session*: queue made as planned, a channel with a
 * prefetch, a subscription (session.ts). At most `prefetch` messages are here at once, handed out or not.
 */
import type { ChannelModel } from 'amqplib';
import { silentLogger } from '../logger.js';
import type { Logger } from '../logger.js';
import { backoff, pause } from './backoff.js';
import type { Consumer, Delivery } from './broker.js';
import type { BrokerConnection } from './connection.js';
import { replies, replyCode, replyText } from './failures.js';
import { applyPlan, bindAll } from './queue-plan.js';
import type { QueuePlan, RememberedBindings } from './queue-plan.js';
import { queueLength } from './queue-length.js';
import { endSubscription, flush, giveBack, openSession } from './session.js';
import type { Session, Subscription } from './session.js';

export interface ConsumerOptions {
  readonly connection: BrokerConnection;
  readonly plan: QueuePlan;
  /** Messages in hand at once, at least 1; 25 unless given. */
  readonly prefetch?: number;
  readonly remembered?: RememberedBindings;
  /** Milliseconds: first and longest wait after a refusal by the broker; 1,000 and 60,000 unless given. */
  readonly firstWait?: number;
  readonly longestWait?: number;
  readonly log?: Logger;
}

export interface ConsumerStatus {
  readonly state: 'starting' | 'consuming' | 'waiting' | 'stopped';
  /** Why nothing comes, or which bindings are missing; empty while all is well. */
  readonly reason: string;
}

export interface QueueConsumer extends Consumer {
  readonly status: () => ConsumerStatus;
  /**
   * Resolves when it is known how it has begun: the queue stands and is bound, or why that is not so can be asked (the
   * broker is away, refuses something), or it was stopped.
   */
  readonly begun: Promise<void>;
}

interface Arrived {
  readonly session: Session;
  readonly tag: number;
  readonly delivery: Delivery;
}

interface Self {
  readonly options: ConsumerOptions;
  readonly log: Logger;
  readonly stopped: AbortController;
  readonly arrived: Arrived[];
  /** Wakes the iteration. */
  wake: () => void;
  session: Session | undefined;
  status: ConsumerStatus;
  warned: string;
  forget: () => void;
  /** Resolves `begun`; harmless when repeated. */
  begin: () => void;
}

/** Bindings that were refused are tried again while the session lasts; what is bound flows meanwhile. */
async function bindLater(
  self: Self,
  model: ChannelModel,
  session: Session,
  left: Parameters<typeof bindAll>[2],
): Promise<void> {
  const { plan, firstWait: base = 1000, longestWait: longest = 60_000 } = self.options;
  const over = new AbortController();
  const stop = AbortSignal.any([over.signal, self.stopped.signal]);
  void session.ended.then(() => {
    over.abort();
  });
  let missing = left;
  for (let tried = 1; missing.length > 0; tried += 1) {
    await pause(backoff(tried, { base, longest }), stop);
    if (stop.aborted) return;
    const result = await bindAll(model, plan.name, missing);
    missing = result.left;
    report(self, 'consuming', result.troubles.join('; '));
  }
}

function report(self: Self, state: ConsumerStatus['state'], reason: string): void {
  if (reason !== '' && reason !== self.status.reason)
    self.log.error(`${reason[0]?.toUpperCase() ?? ''}${reason.slice(1)}. Trying again.`);
  if (reason === '' && self.status.reason !== '')
    self.log.info(`Queue ${self.options.plan.name} is as configured now.`);
  self.status = { state, reason };
  self.begin();
}

function subscriptionOf(self: Self): Subscription {
  const { plan, prefetch = 25 } = self.options;
  const isStopped = (): boolean => self.stopped.signal.aborted;
  return {
    queue: plan.name,
    prefetch,
    log: self.log,
    isStopped,
    arrived: (session, tag, delivery) => {
      self.arrived.push({ session, tag, delivery });
      self.wake();
    },
    over: (session) => {
      // Never handed out, and the broker's again.
      const others = self.arrived.filter((waiting) => waiting.session !== session);
      self.arrived.splice(0, self.arrived.length, ...others);
      if (isStopped()) self.forget();
    },
  };
}

/** One connection's worth of consuming; the trouble that prevented it, if any. */
async function consumeOnce(self: Self): Promise<string | undefined> {
  const { connection, plan, remembered } = self.options;
  const { signal } = self.stopped;
  const model = await connection.link(signal);
  const warn = (text: string): void => {
    if (self.warned === text) return;
    self.warned = text;
    self.log.warning(`${text}.`);
  };
  const applied = await applyPlan(model, plan, remembered, self.log, warn);
  if ('trouble' in applied) return applied.trouble;
  if (signal.aborted) return undefined;
  const session = await openSession(model, subscriptionOf(self));
  self.session = session;
  report(self, 'consuming', applied.troubles.join('; '));
  if (applied.left.length > 0)
    void bindLater(self, model, session, applied.left).catch((error: unknown) => {
      self.log.debug(`Binding was cut short: ${replyText(error)}.`);
    });
  if (signal.aborted) await leave(self, session);
  await session.ended;
  return undefined;
}

async function live(self: Self): Promise<void> {
  const { firstWait: base = 1000, longestWait: longest = 60_000 } = self.options;
  const { signal } = self.stopped;
  let tried = 0;
  let lostInARow = 0;
  while (!signal.aborted) {
    let trouble: string | undefined;
    const began = Date.now();
    try {
      trouble = await consumeOnce(self);
      lostInARow = Date.now() - began > 1000 ? 0 : lostInARow + 1;
    } catch (error) {
      if (signal.aborted) break;
      const code = replyCode(error);
      const isRefusal = code !== undefined && code >= 400 && code < 500;
      if (isRefusal)
        trouble = `cannot consume from queue ${self.options.plan.name}${code === replies.refused ? ': the user needs the read permission on it' : ''} (the broker said: ${code} ${replyText(error)})`;
      else {
        // The connection went while we set up; it tells its own story.
        self.log.debug(`Setting up queue ${self.options.plan.name} was cut short: ${replyText(error)}.`);
        lostInARow += 1;
      }
    }
    if (signal.aborted) break;
    if (trouble === undefined) {
      tried = 0;
      self.status = { state: 'starting', reason: self.status.reason };
      await pause(backoff(lostInARow - 1, { base: 100, longest: 5000 }), signal);
      continue;
    }
    tried += 1;
    report(self, 'waiting', trouble);
    await pause(backoff(tried, { base, longest }), signal);
  }
}

/** Those not handed out go back. */
async function leave(self: Self, session: Session): Promise<void> {
  for (const waiting of self.arrived.splice(0)) giveBack(waiting.session, waiting.tag);
  await endSubscription(session);
}

async function stop(self: Self): Promise<void> {
  if (!self.stopped.signal.aborted) {
    self.stopped.abort();
    self.wake();
    self.begin();
    // Why nothing came, or not all, is asked afterwards.
    self.status = { state: 'stopped', reason: self.status.reason };
  }
  if (self.session?.alive === true) await leave(self, self.session);
  else self.forget();
}

const over: IteratorResult<Delivery> = { done: true, value: undefined };

async function next(self: Self): Promise<IteratorResult<Delivery>> {
  while (!self.stopped.signal.aborted) {
    const first = self.arrived.shift();
    if (first !== undefined) return { done: false, value: first.delivery };
    await new Promise<void>((resolve) => (self.wake = resolve));
  }
  return over;
}

/** Begins to consume; deliveries are fetched ahead, up to the prefetch, before the iteration starts. */
export function openConsumer(options: ConsumerOptions): QueueConsumer {
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const self: Self = {
    options,
    log: options.log ?? silentLogger,
    stopped: new AbortController(),
    arrived: [],
    wake: () => undefined,
    session: undefined,
    status: { state: 'starting', reason: '' },
    warned: '',
    forget: () => undefined,
    begin,
  };
  const look = ({ state }: ReturnType<BrokerConnection['status']>): void => {
    if (state !== 'connecting' && state !== 'connected') begin();
  };
  void begun.then(options.connection.onChange(look));
  look(options.connection.status());
  self.forget = options.connection.beforeClose(async () => {
    await stop(self);
    const { session } = self;
    if (session?.alive !== true) return;
    flush(session);
    // The broker's answer comes after it has seen the acknowledgements.
    void session.channel.close().catch(() => undefined);
    await session.ended;
  });
  void live(self);
  return {
    [Symbol.asyncIterator]: () => ({ next: () => next(self), return: () => Promise.resolve(over) }),
    // A queue that was only just declared is empty because it is not bound yet.
    ready: queueLength(
      { ...options, isConsuming: () => self.status.state === 'consuming' },
      self.stopped.signal,
    ),
    unacknowledged: () => (self.session?.alive === true ? self.session.ledger.unfinished() : 0),
    stop: () => stop(self),
    status: () => self.status,
    begun,
    isRefused: () => self.status.state === 'waiting',
  };
}
