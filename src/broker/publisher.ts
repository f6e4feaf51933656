/**
 * Confirmed publishing over any number of lost connections. A message is *queued*, then *sent* on the channel of the
 * moment, and done when the broker confirms it. When a channel is lost, everything sent on it and not confirmed goes
 * back to the front of the queue, in order: nothing is lost, and what the broker had taken without saying so comes
 * twice.
 *
 * One message can cost everybody the channel (an exchange that vanished, a message the broker finds too large). The
 * broker's answer names an exchange, or nothing; in the second case the suspects are sent again one at a time, and
 * the one that is alone when the channel goes is refused.
 */
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { silentLogger } from '../logger.js';
import type { Logger } from '../logger.js';
import { markReturned } from './publish-entry.js';
import type { Entry } from './publish-entry.js';
import { openEars } from './ears.js';
import type { Ear, Ears } from './ears.js';
import { backoff, pause } from './backoff.js';
import type { ExchangeUnusable, Outgoing, Publisher } from './broker.js';
import { onThrowAwayChannel } from './connection.js';
import type { BrokerConnection } from './connection.js';
import {
  doesNotFit,
  exchangeMissing,
  exchangeRefused,
  messageRefused,
  publishStopped,
  publisherClosed,
} from './publish-errors.js';
import { exchangeInReply, replies, replyCode, replyText } from './failures.js';
import { senderOf } from './shortcuts.js';
import type { Send } from './shortcuts.js';

export interface PublisherOptions {
  readonly connection: BrokerConnection;
  /** Sent and unconfirmed at most: 500 messages and 16 MiB of bodies unless given. */
  readonly window?: { readonly messages?: number; readonly bytes?: number };
  readonly log?: Logger;
}

export interface PublisherStatus {
  /** Waiting to be sent. */
  readonly queued: number;
  /** Sent, not yet confirmed. */
  readonly unconfirmed: number;
  readonly confirmed: number;
}

export interface ConfirmedPublisher extends Publisher {
  readonly status: () => PublisherStatus;
  /** Ends the publisher; what is not confirmed fails with RetryableError. Ask `drained` before. */
  readonly close: () => Promise<void>;
}

interface Lane {
  readonly channel: ConfirmChannel;
  readonly send: Send;
  alive: boolean;
}

interface Self {
  readonly options: PublisherOptions;
  readonly log: Logger;
  readonly stopped: AbortController;
  readonly known: Set<string>;
  readonly asking: Set<string>;
  readonly ears: Ears;
  readonly drainers: Set<() => void>;
  /** In order of sending. */
  queue: Set<Entry>;
  /** In order of publishing. */
  sent: Set<Entry>;
  sentBytes: number;
  /** Refused for now by the broker, to be queued again soon. */
  readonly resting: Set<Entry>;
  /** So many messages are sent one at a time. */
  suspects: number;
  confirmed: number;
  lane: Lane | undefined;
}

const isIdle = (self: Self): boolean =>
  self.queue.size === 0 && self.sent.size === 0 && self.resting.size === 0;

function settle(self: Self, entry: Entry, answer: { routed: boolean } | Error): void {
  if (!entry.settled) {
    entry.settled = true;
    if (entry.ear !== undefined) self.ears.unhear(entry.ear);
    if (answer instanceof Error) entry.reject(answer);
    else entry.resolve(answer);
  }
  if (self.drainers.size > 0 && isIdle(self)) for (const drained of [...self.drainers]) drained();
}

/** Takes back what was published with this signal. What is on its way stays so, its answer is nobody's. */
function takeBack(self: Self, ear: Ear): void {
  for (const entry of [...self.queue, ...self.sent, ...self.resting]) {
    if (entry.ear !== ear || entry.settled) continue;
    self.queue.delete(entry);
    settle(self, entry, publishStopped(entry.message));
  }
}

function leave(self: Self, entry: Entry): boolean {
  if (!self.sent.delete(entry)) return false;
  self.sentBytes -= entry.body.length;
  return true;
}

function putBack(self: Self, entries: Iterable<Entry>): void {
  self.queue = new Set([...entries, ...self.queue]);
}

/** The broker refused to take responsibility (a full queue, a failing disk): again, a little later. */
function rest(self: Self, entry: Entry): void {
  entry.nacks += 1;
  entry.returned = false;
  self.resting.add(entry);
  void pause(backoff(entry.nacks, { base: 200, longest: 10_000 }), self.stopped.signal).then(() => {
    self.resting.delete(entry);
    if (entry.settled) settle(self, entry, { routed: false });
    else if (self.stopped.signal.aborted) settle(self, entry, publisherClosed());
    else {
      putBack(self, [entry]);
      pump(self);
    }
  });
}

function confirmedOrNot(self: Self, lane: Lane, entry: Entry, error: unknown): void {
  // After the channel's end the library calls back for every message; they were put back already.
  if (!lane.alive || !leave(self, entry)) return;
  if (self.suspects > 0) self.suspects -= 1;
  if (error !== null && error !== undefined) rest(self, entry);
  else {
    self.confirmed += 1;
    settle(self, entry, { routed: !entry.returned });
  }
  pump(self);
}

function send(self: Self, lane: Lane, entry: Entry): void {
  const { message } = entry;
  self.sent.add(entry);
  self.sentBytes += entry.body.length;
  try {
    lane.send(message, entry.body, (error) => {
      confirmedOrNot(self, lane, entry, error);
    });
  } catch (error) {
    leave(self, entry);
    if (error instanceof Error && error.name === 'IllegalOperationError') {
      // The channel is gone; its end is announced in a moment.
      putBack(self, [entry]);
      lane.alive = false;
      return;
    }
    settle(self, entry, doesNotFit(message, error));
  }
}

function failExchange(self: Self, exchange: string, error: ExchangeUnusable): void {
  for (const entry of [...self.queue]) {
    if (entry.message.exchange !== exchange) continue;
    self.queue.delete(entry);
    settle(self, entry, error);
  }
}

/** Publishing to a missing exchange costs the channel, so it is asked for once, on a channel of its own. */
async function askFor(self: Self, lane: Lane, exchange: string): Promise<void> {
  if (self.asking.has(exchange)) return;
  self.asking.add(exchange);
  try {
    const model = await self.options.connection.link(self.stopped.signal);
    await onThrowAwayChannel(model, (channel) => channel.checkExchange(exchange));
    self.known.add(exchange);
  } catch (error) {
    if (replyCode(error) === replies.notFound) failExchange(self, exchange, exchangeMissing(exchange, error));
    // Any other refusal means that it is there; a lost connection ends the lane, and the next one asks again.
    else if (replyCode(error) !== undefined) self.known.add(exchange);
    else void lane.channel.close().catch(() => undefined);
  } finally {
    self.asking.delete(exchange);
    pump(self);
  }
}

const hasRoom = (self: Self, entry: Entry): boolean => {
  if (self.sent.size === 0) return true;
  if (self.suspects > 0) return false;
  const { messages = 500, bytes = 16 * 1024 * 1024 } = self.options.window ?? {};
  return self.sent.size < messages && self.sentBytes + entry.body.length <= bytes;
};

/** Sends what may be sent now. */
function pump(self: Self): void {
  const { lane } = self;
  if (lane?.alive !== true || self.options.connection.status().blocked !== undefined) return;
  for (const entry of self.queue) {
    if (!self.known.has(entry.message.exchange)) {
      void askFor(self, lane, entry.message.exchange);
      return;
    }
    if (!hasRoom(self, entry)) return;
    self.queue.delete(entry);
    send(self, lane, entry);
    if (!lane.alive) return;
  }
}

/** What the end of the channel means for the messages that were on it. */
function afterTheEnd(self: Self, error: unknown): void {
  const unconfirmed = [...self.sent].filter((entry) => !entry.settled);
  self.sent = new Set();
  self.sentBytes = 0;
  for (const entry of unconfirmed) entry.returned = false;
  putBack(self, unconfirmed);
  const code = replyCode(error);
  if (code === undefined || code < 400 || code >= 500) {
    // Lost with its connection: nobody's fault.
    self.suspects = 0;
    return;
  }
  const exchange = exchangeInReply(error);
  if (exchange !== undefined && code === replies.notFound) {
    self.known.delete(exchange);
    failExchange(self, exchange, exchangeMissing(exchange, error));
    return;
  }
  if (exchange !== undefined && code === replies.refused) {
    failExchange(self, exchange, exchangeRefused(exchange, error));
    return;
  }
  const [only, ...others] = unconfirmed;
  if (only !== undefined && others.length === 0) {
    self.queue.delete(only);
    settle(self, only, messageRefused(only.message, error));
    return;
  }
  self.suspects = unconfirmed.length;
}

async function openLane(
  self: Self,
  model: ChannelModel,
): Promise<{ readonly lane: Lane; readonly ended: Promise<unknown> }> {
  const channel = await model.createConfirmChannel();
  const lane: Lane = { channel, send: senderOf(channel), alive: true };
  let reason: unknown;
  const ended = new Promise<unknown>((resolve) => {
    channel.on('error', (error) => {
      // Before the library calls back for the messages it can tell nothing about.
      lane.alive = false;
      reason = error;
    });
    // Ahead of the library's own listener, for the same reason.
    channel.prependListener('close', () => {
      lane.alive = false;
      resolve(reason);
    });
  });
  channel.on('return', (message) => {
    markReturned(self.sent, message);
  });
  return { lane, ended };
}

async function live(self: Self): Promise<void> {
  const { signal } = self.stopped;
  let failures = 0;
  while (!signal.aborted) {
    const began = Date.now();
    try {
      const model = await self.options.connection.link(signal);
      const { lane, ended } = await openLane(self, model);
      self.lane = lane;
      pump(self);
      const reason = await ended;
      self.lane = undefined;
      const text = reason === undefined ? 'the connection was lost' : replyText(reason);
      if (!signal.aborted)
        self.log.warning(
          `The publishing channel ended with ${self.sent.size} messages unconfirmed: ${text}.`,
        );
      afterTheEnd(self, reason);
      if (isIdle(self)) for (const drained of [...self.drainers]) drained();
    } catch (error) {
      if (signal.aborted) return;
      self.log.debug(`Opening a publishing channel was cut short: ${replyText(error)}.`);
    }
    failures = Date.now() - began > 1000 ? 0 : failures + 1;
    await pause(backoff(failures - 1, { base: 50, longest: 5000 }), signal);
  }
}

function publish(self: Self, message: Outgoing, stop: AbortSignal | undefined): Promise<{ routed: boolean }> {
  if (self.stopped.signal.aborted) return Promise.reject(publisherClosed());
  if (stop?.aborted === true) return Promise.reject(publishStopped(message));
  return new Promise((resolve, reject) => {
    const { body } = message;
    self.queue.add({
      message,
      body: Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      resolve,
      reject,
      ear: stop === undefined ? undefined : self.ears.hear(stop),
      returned: false,
      settled: false,
      nacks: 0,
    });
    pump(self);
  });
}

async function close(self: Self, life: Promise<void>, forget: () => void): Promise<void> {
  forget();
  self.stopped.abort();
  const left = [...self.sent, ...self.queue];
  self.queue.clear();
  self.sent.clear();
  for (const entry of left) settle(self, entry, publisherClosed());
  const { lane } = self;
  if (lane?.alive === true) {
    lane.alive = false;
    void lane.channel.close().catch(() => undefined);
  }
  // A silent broker does not answer; its connection is ended by its owner.
  const limit = new AbortController();
  await Promise.race([life, pause(2000, limit.signal)]);
  limit.abort();
}

/** Begins to publish; messages handed over while there is no connection wait for it. */
export function openPublisher(options: PublisherOptions): ConfirmedPublisher {
  const self: Self = {
    options,
    log: options.log ?? silentLogger,
    stopped: new AbortController(),
    known: new Set(['']),
    asking: new Set(),
    ears: openEars((ear) => {
      takeBack(self, ear);
    }),
    drainers: new Set(),
    queue: new Set(),
    sent: new Set(),
    sentBytes: 0,
    resting: new Set(),
    suspects: 0,
    confirmed: 0,
    lane: undefined,
  };
  const life = live(self);
  const deafen = options.connection.onChange(({ blocked }) => {
    if (blocked === undefined) pump(self);
  });
  const forget = (): void => {
    deafen();
    unhook();
  };
  const unhook = options.connection.beforeClose(() => close(self, life, forget));
  return {
    publish: (message, stop) => publish(self, message, stop),
    drained: () =>
      new Promise((resolve) => {
        if (isIdle(self)) {
          resolve();
          return;
        }
        const drained = (): void => {
          self.drainers.delete(drained);
          resolve();
        };
        self.drainers.add(drained);
      }),
    status: () => ({
      queued: self.queue.size + self.resting.size,
      unconfirmed: self.sent.size,
      confirmed: self.confirmed,
    }),
    close: () => close(self, life, forget),
  };
}
