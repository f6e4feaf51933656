/**
 * One channel's life under a subscription. A delivery belongs to the session it came with; finishing it after that
 * session's end is dropped without a word, because the broker has already taken the message back and delivers it
 * again. Acknowledging it on another channel would, at best, close that channel.
 *
 * Acknowledgements are gathered during one turn of the event loop and sent together (ack-ledger.ts).
 */
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { Logger } from '../logger.js';
import { ackLedger } from './ack-ledger.js';
import type { AckLedger } from './ack-ledger.js';
import { pause } from './backoff.js';
import type { Delivery } from './broker.js';
import { replyText } from './failures.js';

/** One channel's life. */
export interface Session {
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

/** What a session serves. */
export interface Subscription {
  readonly queue: string;
  readonly prefetch: number;
  readonly log: Logger;
  /** Nothing more is wanted: what still comes is given back. */
  readonly isStopped: () => boolean;
  readonly arrived: (session: Session, tag: number, delivery: Delivery) => void;
  /** Told once, when the session has ended. */
  readonly over: (session: Session) => void;
}

/** Sends what is due. */
export function flush(session: Session): void {
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

/** Gives a delivery back to the broker. */
export function giveBack(session: Session, tag: number): void {
  if (!session.alive || !session.ledger.giveBack(tag)) return;
  session.channel.nack({ fields: { deliveryTag: tag } } as ConsumeMessage, false, true);
  // It may have been the oldest, holding back finished ones behind it.
  schedule(session);
}

function receive(subscription: Subscription, session: Session, message: ConsumeMessage): void {
  const tag = message.fields.deliveryTag;
  session.ledger.take(tag);
  if (subscription.isStopped()) {
    giveBack(session, tag);
    return;
  }
  const contentType: unknown = message.properties.contentType;
  const headers: unknown = message.properties.headers;
  subscription.arrived(session, tag, {
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
  });
}

/** Opens a channel and subscribes. Throws what the library threw; see failures.ts. */
export async function openSession(model: ChannelModel, subscription: Subscription): Promise<Session> {
  const { queue, prefetch, log, isStopped } = subscription;
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
    subscription.over(session);
    end();
  };
  channel.on('error', (error) => {
    if (!isStopped()) log.warning(`The subscription to ${queue} ended: ${replyText(error)}.`);
  });
  channel.on('close', over);
  try {
    await channel.prefetch(Math.max(1, prefetch));
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message !== null) {
        receive(subscription, session, message);
        return;
      }
      if (isStopped()) return;
      log.warning(`The broker ended the subscription to ${queue}: the queue was removed.`);
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

/** No more deliveries; those in hand can still be finished until the connection ends. */
export async function endSubscription(session: Session): Promise<void> {
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
