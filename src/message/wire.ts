import { isUtf8 } from 'node:buffer';
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

/** Longest body that is looked at, in bytes. */
export const BODY_LIMIT = 65_536;

/** Longest header value in UTF-8 bytes that every reader of this format survives. */
export const HEADER_LIMIT = 252;

/** Makes the answer for a message that breaks the format. */
export function malformed(reason: string, about?: Envelope): Rejection {
  return about === undefined
    ? { kind: 'rejected', code: 417, reason }
    : { kind: 'rejected', code: 417, reason, about };
}

/** The body as text, or what is wrong with it: longer than 64 KiB, or not UTF-8. */
export function bodyText(body: Uint8Array): { readonly text: string } | Rejection {
  if (body.byteLength > BODY_LIMIT) {
    return malformed(`the body has ${body.byteLength} bytes, at most ${BODY_LIMIT} are read`);
  }
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const text = bytes.toString('utf8');
  // The replacement character only needs the dear check when it is there.
  if (text.includes('\ufffd') && !isUtf8(bytes)) return malformed('the body is not valid UTF-8');
  return { text };
}
