import { hashOf, numberValue, readNumber } from './engine.js';
import type { Retry } from './store.js';

/** What never changes of a retry: written once. */
export type RetryMessage = Omit<Retry, 'id' | 'tries' | 'reason'>;

/** What changes with every attempt; small, because it is written as often. */
export interface RetryState {
  /** Milliseconds since 1970. */
  readonly due: number;
  readonly tries: number;
  readonly firstFailure: number;
  readonly reason: string;
}

export const encodeMessage = (message: RetryMessage): Buffer => Buffer.from(JSON.stringify(message));

/** @returns undefined for what is no record (a damaged file). */
export function decodeMessage(bytes: Buffer | undefined): RetryMessage | undefined {
  if (bytes === undefined) return undefined;
  try {
    const read: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof read !== 'object' || read === null || !('paths' in read) || !Array.isArray(read.paths))
      return undefined;
    // JSON has no undefined: the member comes back absent.
    const message = read as RetryMessage;
    return { ...message, contentType: message.contentType };
  } catch {
    return undefined;
  }
}

export const encodeState = ({ due, tries, firstFailure, reason }: RetryState): Buffer =>
  Buffer.concat([numberValue(due), numberValue(tries), numberValue(firstFailure), Buffer.from(reason)]);

export function decodeState(bytes: Buffer | undefined): RetryState | undefined {
  const due = readNumber(bytes);
  const tries = readNumber(bytes?.subarray(8));
  const firstFailure = readNumber(bytes?.subarray(16));
  if (bytes === undefined || due === undefined || tries === undefined || firstFailure === undefined)
    return undefined;
  return { due, tries, firstFailure, reason: bytes.subarray(24).toString('utf8') };
}

/** What two copies of one message have in common, and no two messages have: everything that the broker delivers. */
export function messageHash({ exchange, topic, headers, body }: RetryMessage): Buffer {
  const sorted = Object.entries(headers).sort(([one], [other]) => (one < other ? -1 : 1));
  return hashOf(JSON.stringify([exchange, topic, sorted, body]));
}
