/**
 * A segment is a file of posts that waits for the broker. It is written under another name and gets its own by one
 * rename, so whoever sees it sees all of it, and it leaves when the broker has confirmed everything in it: there is no
 * other record of how far somebody has come. Only a loss of power can leave one damaged, so each post in it is
 * preceded by its length and its checksum.
 */
import { crc32 } from 'node:zlib';
import { isRecord, readRecord } from '../engine/json-record.js';

/** A message for the broker, as whoever publishes hands it over. */
export interface SpooledPost {
  readonly exchange: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly persistent?: boolean;
  /** Milliseconds that it may wait for a reader, the time in the spool included. */
  readonly expiration?: number;
}

export interface SpoolEntry {
  readonly post: SpooledPost;
  /** When it was spooled, milliseconds since 1970. */
  readonly at: number;
}

/** What a segment holds; `damaged` when it does not end as it was written. */
export interface SegmentContent {
  readonly entries: readonly SpoolEntry[];
  readonly damaged: boolean;
}

const headSize = 8;

export function encodeEntry({ post, at }: SpoolEntry): Buffer {
  const { body, ...rest } = post;
  // One character for a byte keeps plain text readable, and everything else as it is.
  const text = JSON.stringify({ at, ...rest, body: Buffer.from(body).toString('latin1') });
  const payload = Buffer.from(text, 'utf8');
  const head = Buffer.alloc(headSize);
  head.writeUInt32BE(payload.length, 0);
  head.writeUInt32BE(crc32(payload), 4);
  return Buffer.concat([head, payload]);
}

/** Reads as far as everything is as it was written. */
export function decodeSegment(data: Buffer): SegmentContent {
  const entries: SpoolEntry[] = [];
  let at = 0;
  while (at < data.length) {
    if (at + headSize > data.length) return { entries, damaged: true };
    const end = at + headSize + data.readUInt32BE(at);
    if (end > data.length) return { entries, damaged: true };
    const payload = data.subarray(at + headSize, end);
    if (crc32(payload) !== data.readUInt32BE(at + 4)) return { entries, damaged: true };
    const entry = decodePayload(payload.toString('utf8'));
    if (entry === undefined) return { entries, damaged: true };
    entries.push(entry);
    at = end;
  }
  return { entries, damaged: false };
}

function decodePayload(text: string): SpoolEntry | undefined {
  const read = readRecord(text);
  if (read === undefined) return undefined;
  const { at, exchange, topic, headers, body, contentType, persistent, expiration } = read;
  if (typeof at !== 'number' || typeof exchange !== 'string' || typeof topic !== 'string') return undefined;
  if (typeof body !== 'string' || typeof contentType !== 'string' || !isRecord(headers)) return undefined;
  if (!Object.values(headers).every((value) => typeof value === 'string')) return undefined;
  return {
    at,
    post: {
      exchange,
      topic,
      headers: headers as Readonly<Record<string, string>>,
      body: Buffer.from(body, 'latin1'),
      contentType,
      ...(typeof persistent === 'boolean' && { persistent }),
      ...(typeof expiration === 'number' && { expiration }),
    },
  };
}
