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
import { silentLogger } from '../logger.js';
import type { Logger } from '../logger.js';
import { markReturned } from './publish-entry.js';
import type { Entry } from './publish-entry.js';
import { backoff, pause } from './backoff.js';
import type { Outgoing, Publisher } from './broker.js';
import { onThrowAwayChannel } from './connection.js';
import type { BrokerConnection } from './connection.js';
import { openLane } from './lane.js';
import type { Lane } from './lane.js';
import { failExchange, leave, openOutbox, putBack, settle, tellDrained, untilDrained } from './outbox.js';
import type { Outbox } from './outbox.js';
import { doesNotFit, exchangeMissing, publishStopped, publisherClosed } from './publish-errors.js';
import { afterTheEnd } from './publish-suspects.js';
import { replies, replyCode, replyText } from './failures.js';

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

interface Self {
  readonly options: PublisherOptions;
  readonly log: Logger;
  readonly stopped: AbortController;
  readonly known: Set<string>;
  readonly asking: Set<string>;
  readonly outbox: Outbox;
  /** So many messages are sent one at a time. */
  suspects: number;
  confirmed: number;
  lane: Lane | undefined;
}

/** The broker refused to take responsibility (a full queue, a failing disk): again, a little later. */
function rest(self: Self, entry: Entry): void {
  entry.nacks += 1;
  entry.returned = false;
  self.outbox.resting.add(entry);
  void pause(backoff(entry.nacks, { base: 200, longest: 10_000 }), self.stopped.signal).then(() => {
    self.outbox.resting.delete(entry);
    if (entry.settled) settle(self.outbox, entry, { routed: false });
    else if (self.stopped.signal.aborted) settle(self.outbox, entry, publisherClosed());
    else {
      putBack(self.outbox, [entry]);
      pump(self);
    }
  });
}

function confirmedOrNot(self: Self, lane: Lane, entry: Entry, error: unknown): void {
  // After the channel's end the library calls back for every message; they were put back already.
  if (!lane.alive || !leave(self.outbox, entry)) return;
  if (self.suspects > 0) self.suspects -= 1;
  if (error !== null && error !== undefined) rest(self, entry);
  else {
    self.confirmed += 1;
    settle(self.outbox, entry, { routed: !entry.returned });
  }
  pump(self);
}

function send(self: Self, lane: Lane, entry: Entry): void {
  const { message } = entry;
  self.outbox.sent.add(entry);
  self.outbox.sentBytes += entry.body.length;
  try {
    lane.send(message, entry.body, (error) => {
      confirmedOrNot(self, lane, entry, error);
    });
  } catch (error) {
    leave(self.outbox, entry);
    if (error instanceof Error && error.name === 'IllegalOperationError') {
      // The channel is gone; its end is announced in a moment.
      putBack(self.outbox, [entry]);
      lane.alive = false;
      return;
    }
    settle(self.outbox, entry, doesNotFit(message, error));
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
    if (replyCode(error) === replies.notFound)
      failExchange(self.outbox, exchange, exchangeMissing(exchange, error));
    // Any other refusal means that it is there; a lost connection ends the lane, and the next one asks again.
    else if (replyCode(error) !== undefined) self.known.add(exchange);
    else void lane.channel.close().catch(() => undefined);
  } finally {
    self.asking.delete(exchange);
    pump(self);
  }
}

const hasRoom = (self: Self, entry: Entry): boolean => {
  if (self.outbox.sent.size === 0) return true;
  if (self.suspects > 0) return false;
  const { messages = 500, bytes = 16 * 1024 * 1024 } = self.options.window ?? {};
  return self.outbox.sent.size < messages && self.outbox.sentBytes + entry.body.length <= bytes;
};

/** Sends what may be sent now. */
function pump(self: Self): void {
  const { lane } = self;
  if (lane?.alive !== true || self.options.connection.status().blocked !== undefined) return;
  for (const entry of self.outbox.queue) {
    if (!self.known.has(entry.message.exchange)) {
      void askFor(self, lane, entry.message.exchange);
      return;
    }
    if (!hasRoom(self, entry)) return;
    self.outbox.queue.delete(entry);
    send(self, lane, entry);
    if (!lane.alive) return;
  }
}

async function live(self: Self): Promise<void> {
  const { signal } = self.stopped;
  let failures = 0;
  while (!signal.aborted) {
    const began = Date.now();
    try {
      const model = await self.options.connection.link(signal);
      const { lane, ended } = await openLane(model, (message) => {
        markReturned(self.outbox.sent, message);
      });
      self.lane = lane;
      pump(self);
      const reason = await ended;
      self.lane = undefined;
      const text = reason === undefined ? 'the connection was lost' : replyText(reason);
      if (!signal.aborted)
        self.log.warning(
          `The publishing channel ended with ${self.outbox.sent.size} messages unconfirmed: ${text}.`,
        );
      self.suspects = afterTheEnd(self.outbox, self.known, reason) ?? self.suspects;
      tellDrained(self.outbox);
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
    self.outbox.queue.add({
      message,
      body: Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      resolve,
      reject,
      ear: stop === undefined ? undefined : self.outbox.ears.hear(stop),
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
  const left = [...self.outbox.sent, ...self.outbox.queue];
  self.outbox.queue.clear();
  self.outbox.sent.clear();
  for (const entry of left) settle(self.outbox, entry, publisherClosed());
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
    outbox: openOutbox(),
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
    drained: () => untilDrained(self.outbox),
    status: () => ({
      queued: self.outbox.queue.size + self.outbox.resting.size,
      unconfirmed: self.outbox.sent.size,
      confirmed: self.confirmed,
    }),
    close: () => close(self, life, forget),
  };
}
