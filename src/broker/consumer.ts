/**
 * A queue as an endless iteration. Every connection gives a new *session*: queue made as planned, a channel with a
 * prefetch, a subscription. A delivery belongs to the session it came with; finishing it after that session's end is
 * dropped without a word, because the broker has already taken the message back and delivers it again. Acknowledging
 * it on the new channel would, at best, close that channel.
 *
 * At most `prefetch` messages are here at once, handed out or not. Acknowledgements are gathered during one turn of
 * the event loop and sent together (ack-ledger.ts).
 */
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { silentLogger } from '../logger.js';
import type { Logger } from '../logger.js';
import { ackLedger } from './ack-ledger.js';
import type { AckLedger } from './ack-ledger.js';
import { backoff, pause } from './backoff.js';
import type { Consumer, Delivery } from './broker.js';
import { onThrowAwayChannel } from './connection.js';
import type { BrokerConnection } from './connection.js';
import { replies, replyCode, replyText } from './failures.js';
import { applyPlan, bindAll } from './queue-plan.js';
import type { QueuePlan, RememberedBindings } from './queue-plan.js';

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
}

/** One channel's life. */
interface Session {
  readonly channel: Channel;
  readonly ledger: AckLedger;
  readonly ended: Promise<void>;
  alive: boolean;
  consumerTag: string | undefined;
  /** An acknowledgement run is due in this turn. */
  scheduled: boolean;
  timer: NodeJS.Timeout | undefined;
  /** Subscription ended; the channel goes when the last delivery in hand is settled. */
  draining: boolean;
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
  /** The question for the length of the queue that is under way. */
  asked: Promise<number | undefined> | undefined;
}

function flush(session: Session): void {
  session.scheduled = false;
  if (!session.alive) return;
  for (const { tag, multiple } of session.ledger.due()) {
    // The library wants a message; only its tag matters.
    session.channel.ack({ fields: { deliveryTag: tag } } as ConsumeMessage, multiple);
  }
  clearTimeout(session.timer);
  session.timer = undefined;
  if (session.draining && session.ledger.unfinished() === 0) {
    void session.channel.close().catch(() => undefined);
    return;
  }
  const wait = session.ledger.dueIn();
  if (wait === undefined) return;
  session.timer = setTimeout(() => {
    flush(session);
  }, wait + 1);
}

/** Sends what is due at the end of this turn of the event loop. */
function schedule(session: Session): void {
  if (session.scheduled) return;
  session.scheduled = true;
  setImmediate(() => {
    flush(session);
  });
}

function finish(session: Session, tag: number): void {
  if (session.alive && session.ledger.finish(tag)) schedule(session);
}

function giveBack(session: Session, tag: number): void {
  if (!session.alive || !session.ledger.giveBack(tag)) return;
  session.channel.nack({ fields: { deliveryTag: tag } } as ConsumeMessage, false, true);
  // It may have been the oldest, holding back finished ones behind it.
  schedule(session);
}

function receive(self: Self, session: Session, message: ConsumeMessage): void {
  const tag = message.fields.deliveryTag;
  session.ledger.take(tag);
  if (self.stopped.signal.aborted) {
    giveBack(session, tag);
    return;
  }
  const contentType: unknown = message.properties.contentType;
  const headers: unknown = message.properties.headers;
  self.arrived.push({
    session,
    tag,
    delivery: {
      exchange: message.fields.exchange,
      topic: message.fields.routingKey,
      headers: typeof headers === 'object' && headers !== null ? (headers as Record<string, unknown>) : {},
      contentType: typeof contentType === 'string' ? contentType : undefined,
      body: message.content,
      redelivered: message.fields.redelivered,
      ack: () => {
        finish(session, tag);
      },
      requeue: () => {
        giveBack(session, tag);
      },
      isLost: () => !session.alive,
    },
  });
  self.wake();
}

async function openSession(self: Self, model: ChannelModel): Promise<Session> {
  const channel = await model.createChannel();
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const session: Session = {
    channel,
    ledger: ackLedger(),
    ended,
    alive: true,
    consumerTag: undefined,
    scheduled: false,
    timer: undefined,
    draining: false,
  };
  const over = (): void => {
    if (!session.alive) return;
    session.alive = false;
    clearTimeout(session.timer);
    // Never handed out, and the broker's again.
    self.arrived.splice(
      0,
      self.arrived.length,
      ...self.arrived.filter((waiting) => waiting.session !== session),
    );
    if (self.stopped.signal.aborted) self.forget();
    end();
  };
  channel.on('error', (error) => {
    if (!self.stopped.signal.aborted)
      self.log.warning(`The subscription to ${self.options.plan.name} ended: ${replyText(error)}.`);
  });
  channel.on('close', over);
  try {
    await channel.prefetch(Math.max(1, self.options.prefetch ?? 25));
    const { consumerTag } = await channel.consume(self.options.plan.name, (message) => {
      if (message !== null) {
        receive(self, session, message);
        return;
      }
      if (self.stopped.signal.aborted) return;
      self.log.warning(
        `The broker ended the subscription to ${self.options.plan.name}: the queue was removed.`,
      );
      over();
      void channel.close().catch(() => undefined);
    });
    session.consumerTag = consumerTag;
    return session;
  } catch (error) {
    over();
    throw error;
  }
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
  const session = await openSession(self, model);
  self.session = session;
  report(self, 'consuming', applied.troubles.join('; '));
  if (applied.left.length > 0)
    void bindLater(self, model, session, applied.left).catch((error: unknown) => {
      self.log.debug(`Binding was cut short: ${replyText(error)}.`);
    });
  if (signal.aborted) await endSubscription(self, session);
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

/** No more deliveries; those not handed out go back, those in hand can still be finished until the connection ends. */
async function endSubscription(self: Self, session: Session): Promise<void> {
  for (const waiting of self.arrived.splice(0)) giveBack(waiting.session, waiting.tag);
  const { consumerTag, channel } = session;
  session.consumerTag = undefined;
  if (session.alive && consumerTag !== undefined) {
    // A silent broker does not answer.
    const limit = new AbortController();
    await Promise.race([channel.cancel(consumerTag).catch(() => undefined), pause(2000, limit.signal)]);
    limit.abort();
  }
  session.draining = true;
  schedule(session);
}

async function stop(self: Self): Promise<void> {
  if (!self.stopped.signal.aborted) {
    self.stopped.abort();
    self.wake();
    // Why nothing came, or not all, is asked afterwards.
    self.status = { state: 'stopped', reason: self.status.reason };
  }
  if (self.session?.alive === true) await endSubscription(self, self.session);
  else self.forget();
}

async function* iterate(self: Self): AsyncGenerator<Delivery> {
  for (;;) {
    if (self.stopped.signal.aborted) return;
    const next = self.arrived.shift();
    if (next !== undefined) {
      yield next.delivery;
      continue;
    }
    await new Promise<void>((resolve) => (self.wake = resolve));
  }
}

/** Milliseconds that the broker may take to tell how long the queue is. */
const READY_LIMIT = 2000;

/** One question at a time, however often it is asked: a broker that has fallen silent answers none of them. */
async function readyInTime(self: Self): Promise<number | undefined> {
  self.asked ??= ready(self).finally(() => (self.asked = undefined));
  const limit = new AbortController();
  const late = pause(READY_LIMIT, limit.signal).then(() => undefined);
  try {
    return await Promise.race([self.asked, late]);
  } finally {
    limit.abort();
  }
}

async function ready(self: Self): Promise<number | undefined> {
  const { connection, plan } = self.options;
  // A queue that was only just declared is empty because it is not bound yet.
  if (connection.status().state !== 'connected' || self.status.state !== 'consuming') return undefined;
  try {
    const model = await connection.link(self.stopped.signal);
    return await onThrowAwayChannel(
      model,
      async (channel) => (await channel.checkQueue(plan.name)).messageCount,
    );
  } catch (error) {
    self.log.debug(`Cannot ask for the length of ${plan.name}: ${replyText(error)}.`);
    return undefined;
  }
}

/** Begins to consume; deliveries are fetched ahead, up to the prefetch, before the iteration starts. */
export function openConsumer(options: ConsumerOptions): QueueConsumer {
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
    asked: undefined,
  };
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
    [Symbol.asyncIterator]: () => iterate(self),
    ready: () => readyInTime(self),
    unacknowledged: () => (self.session?.alive === true ? self.session.ledger.unfinished() : 0),
    stop: () => stop(self),
    status: () => self.status,
    isRefused: () => self.status.state === 'waiting',
  };
}
