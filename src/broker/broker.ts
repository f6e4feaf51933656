/** The vocabulary of the broker layer. It moves bytes and headers and does not know what an announcement is. */

import { RetryableError } from '../errors.js';

/** What the connection is doing, and why (`reason`). Asked by status and shown at 3 a.m. */
export type ConnectionState =
  | 'connecting'
  | 'connected'
  /** Lost; the next attempt is under way or due in seconds. */
  | 'disconnected'
  /** Unreachable for longer than two minutes; attempts go on at the longest interval. */
  | 'suspended'
  /** Cannot succeed without an operator: credentials refused, TLS not acceptable, virtual host missing. */
  | 'failed'
  | 'closing'
  | 'closed';

/** Where a broker is and who we are there. The password is only ever handed to the client library. */
export interface BrokerAddress {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** Without leading slash; `/` is the default virtual host. */
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  readonly login: 'PLAIN' | 'AMQPLAIN' | 'EXTERNAL';
}

/** `lax` accepts any certificate, `normal` verifies it, `strict` verifies and asks for TLS 1.2 or later. */
export type TlsRigour = 'lax' | 'normal' | 'strict';

export interface Binding {
  readonly exchange: string;
  readonly key: string;
}

/** One message in our hands. It stays the broker's until `ack`; both ends are harmless after a lost connection. */
export interface Delivery {
  readonly exchange: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  readonly redelivered: boolean;
  /** Settled for good. Acknowledgements are gathered per turn of the event loop. */
  readonly ack: () => void;
  /** Give it back: the broker delivers it again, to us or to another instance. */
  readonly requeue: () => void;
  /** Its session has ended before it was finished: the broker has taken it back and delivers it again. */
  readonly isLost: () => boolean;
}

/** A queue as an iteration over deliveries, over any number of lost connections. */
export interface Consumer extends AsyncIterable<Delivery> {
  /** Messages ready in the queue by passive declare; undefined while we do not consume from it. */
  readonly ready: () => Promise<number | undefined>;
  /** The broker does not let us have the queue: nothing comes before somebody has mended that. */
  readonly isRefused?: () => boolean;
  /** Deliveries taken and neither acknowledged nor requeued. */
  readonly unacknowledged: () => number;
  /** Ends the iteration and the subscription; deliveries in hand may still be acknowledged. */
  readonly stop: () => Promise<void>;
}

export interface Outgoing {
  readonly exchange: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly persistent?: boolean;
  /** False where nobody asks whether a queue is bound: the broker need not send it back, and `routed` is always true. */
  readonly mandatory?: boolean;
  /** Milliseconds. */
  readonly expiration?: number;
}

/**
 * The exchange does not exist, or we may not write to it. No fault of the message: none goes there before somebody
 * has mended that.
 */
export class ExchangeUnusable extends RetryableError {}

export interface Publisher {
  /**
   * Resolves when the broker has confirmed the message; `routed` is false when no queue was bound. Waits out lost
   * connections and back-pressure. Throws RetryableError when `stop` ends the wait, ExchangeUnusable where no message
   * can be published, PermanentError when this one cannot: it does not fit into AMQP, or the broker refuses it.
   */
  readonly publish: (message: Outgoing, stop?: AbortSignal) => Promise<{ routed: boolean }>;
  /** Resolves when everything handed over has been confirmed. */
  readonly drained: () => Promise<void>;
}
