import { hashOf } from '../engine/engine.js';
import type { Retry, RetryIdentity } from '../store.js';

/** What never changes of a retry. */
export type RetryMessage = Omit<Retry, 'id' | 'tries' | 'reason' | 'firstFailure'>;

/** What may change with every attempt. */
export interface RetryState {
  /** Milliseconds since 1970. */
  readonly due: number;
  readonly tries: number;
  readonly firstFailure: number;
  readonly reason: string;
  /** Why it is ended instead of tried: superseded when empty, else what the operator said. */
  readonly ended: string | undefined;
}

/** A retry as it is on disk. */
export interface RetryEntry {
  readonly message: RetryMessage;
  readonly state: RetryState;
}

/** The first state is written with the message: most are tried once more, and nothing else is ever written of them. */
export const encodeEntry = ({ message, state }: RetryEntry): Buffer =>
  Buffer.from(JSON.stringify([state, message]));

export const encodeState = (state: RetryState): Buffer => Buffer.from(JSON.stringify(state));

/** JSON has no undefined: the member comes back absent. */
const isState = (read: unknown): read is RetryState =>
  typeof read === 'object' &&
  read !== null &&
  ['due', 'tries', 'firstFailure'].every((name) => typeof Reflect.get(read, name) === 'number') &&
  typeof Reflect.get(read, 'reason') === 'string';

const isMessage = (read: unknown): read is RetryMessage =>
  typeof read === 'object' && read !== null && 'paths' in read && Array.isArray(read.paths);

function parsed(bytes: Buffer | undefined): unknown {
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * An entry as it was added, and what of its state was written later, if anything.
 *
 * @returns undefined for what is no record (a damaged file).
 */
export function decodeEntry(bytes: Buffer | undefined, later: Buffer | undefined): RetryEntry | undefined {
  const read = parsed(bytes);
  const [first, message]: readonly unknown[] = Array.isArray(read) ? (read as readonly unknown[]) : [];
  if (!isMessage(message)) return undefined;
  const state = later === undefined ? first : parsed(later);
  if (!isState(state)) return undefined;
  return {
    message: { ...message, contentType: message.contentType, party: message.party },
    state: { ...state, ended: state.ended },
  };
}

/** What two copies of one message have in common, and no two messages have: everything that the broker delivers. */
export function messageHash({ exchange, topic, headers, body }: RetryIdentity): Buffer {
  const sorted = Object.entries(headers).sort(([one], [other]) => (one < other ? -1 : 1));
  return hashOf(JSON.stringify([exchange, topic, sorted, body]));
}
