import type { Announcement, Envelope } from './announcement.js';
import type { Report } from './report.js';

/** An AMQP message as bytes and headers, before anyone looked into it. */
export interface RawMessage {
  readonly topic: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
  readonly contentType?: string | undefined;
}

/** An AMQP message ready to be published: every header a string. */
export interface WireMessage {
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly contentType: string;
}

/** A message that cannot be used. `about` is there when date, base and path could be read: then a record is due. */
export interface Rejection {
  readonly kind: 'rejected';
  /** Report code: 417 malformed, 403 identity. */
  readonly code: number;
  readonly reason: string;
  readonly about?: Envelope;
}

/** The result of decoding. Decoding never throws, whatever it is given. */
export type Decoded =
  | { readonly kind: 'post'; readonly announcement: Announcement; readonly warnings: readonly string[] }
  | { readonly kind: 'report'; readonly report: Report }
  | Rejection;
