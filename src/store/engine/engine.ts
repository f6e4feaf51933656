import { hash } from 'node:crypto';

/**
 * An ordered table of bytes that outlives the process: what the three parts of a store are written on. Changes
 * are visible to `get` at once and are written together, one batch for each turn of the event loop; `written`
 * tells when they are safe.
 */
export interface Engine {
  /** Value as of now, changes not yet written included. */
  readonly get: (key: Uint8Array) => Buffer | undefined;
  readonly put: (key: Uint8Array, value: Uint8Array) => void;
  readonly remove: (key: Uint8Array) => void;
  /** Resolves when every change so far would be found again. @throws FatalError when it cannot be written. */
  readonly written: () => Promise<void>;
  /**
   * Entries with `from` <= key < `to` in the order of their bytes. Changes made meanwhile may be missing from
   * it: compare with `get` before acting on one. With `backwards` the last comes first.
   */
  readonly scan: (
    from: Uint8Array,
    to: Uint8Array,
    backwards?: boolean,
  ) => AsyncIterable<readonly [Buffer, Buffer]>;
  /** Drop all entries with `from` <= key < `to`; none of them may be changed meanwhile. */
  readonly clear: (from: Uint8Array, to: Uint8Array) => Promise<void>;
  /**
   * Aborted, with the FatalError that says why, when a write has failed: nothing is written any more, and every
   * wait for `written` is refused. Only opening it anew helps, once the cause is gone.
   */
  readonly failed: AbortSignal;
  /** Writes what is due, then closes; the files are free even when it rejects because something was not written. */
  readonly close: () => Promise<void>;
}

/** First byte of every key: whose it is. The letters are the format on disk; never reuse one, nor 0x55, 0x57, 0x6c. */
export const table = {
  /** Classes of lifetime in use by the duplicates. */
  lifetime: 0x63,
  /** Duplicates by lifetime, time of expiry and key. */
  seen: 0x73,
  /** Duplicates by lifetime, time of expiry, path and key. */
  seenOfPath: 0x66,
  /** Newest instant of a path, by hour of writing. */
  newest: 0x6e,
  /** Retries: as they came, what has changed since, order by due time, due ones by id, by path. */
  retry: 0x52,
  retryState: 0x53,
  retryDue: 0x44,
  retryReady: 0x59,
  retryOfPath: 0x42,
  /** Id of the retry that is this message. */
  retryTwin: 0x4d,
  /** How many, and the last id. */
  retryCount: 0x4e,
  /** Bytes that a source keeps. */
  usage: 0x51,
  /** Files that come in blocks: what is known of each, of its blocks, which are in hand, and what was given up. */
  assembly: 0x41,
  assemblyBlock: 0x62,
  assemblyMark: 0x6d,
  assemblyWaste: 0x77,
  /** Files that are kept for a time: how long each, and which by that time. */
  keptFile: 0x4b,
  keptUntil: 0x6b,
} as const;

export const nothing = Buffer.alloc(0);

/** Bytes of a hashed text: short, and of one length whatever a hostile message contains. */
export const hashLength = 16;

/**
 * 16 bytes that stand for a text in keys. By way of a string: a buffer of its own for each would be memory of the system,
 * which never comes back in one piece.
 */
export const hashOf = (text: string): Buffer =>
  Buffer.from(hash('sha256', text, 'binary').slice(0, hashLength), 'binary');

/** A key as text, one character for a byte: a Map compares buffers by identity. */
export const nameOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');

/** The key that `nameOf` was given. */
export const namedKey = (name: string): Buffer => Buffer.from(name, 'latin1');

/** A key: the table's letter, then the parts. */
export function keyOf(letter: number, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([letter]), ...parts]);
}

/** Six bytes, big end first, so that keys sort as numbers do; 0 to 2^48 - 1, others are moved to the nearer end. */
export function numberKey(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  const whole = Number.isNaN(value) ? 0 : Math.floor(value);
  bytes.writeUIntBE(Math.max(0, Math.min(whole, 2 ** 48 - 1)), 0, 6);
  return bytes;
}

/** A time or count as a value. */
export function numberValue(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

/** The first number of a value; undefined when it is too short (a damaged file). */
export const readNumber = (value: Buffer | undefined): number | undefined =>
  value === undefined || value.length < 8 ? undefined : value.readDoubleBE(0);

/** An instant as it counts: none lies in the future, or a sender whose clock is ahead would win for ever. */
export const clipped = (instant: number, now: number): number =>
  Number.isFinite(instant) ? Math.min(instant, now) : now;

/** The first key behind all keys that start with `prefix`. Letters of tables are below 255, so there is one. */
export function endOf(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix);
  let at = end.length - 1;
  while (at > 0 && end[at] === 0xff) at -= 1;
  end[at] = (end[at] ?? 0) + 1;
  return end.subarray(0, at + 1);
}
