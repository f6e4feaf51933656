import { FatalError, messageOf, PermanentError, RetryableError } from '../../errors.js';
import { isRecord } from '../engine/json-record.js';

/** An error as it crosses the socket: its class, so that the other side can ask it, and its text. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: number;
}

export function encodeError(thrown: unknown): WireError {
  const message = messageOf(thrown);
  if (thrown instanceof PermanentError) return { name: thrown.name, message, code: thrown.code };
  if (thrown instanceof FatalError) return { name: thrown.name, message, code: thrown.exitCode };
  return { name: thrown instanceof RetryableError ? thrown.name : 'Error', message };
}

export function decodeError(read: unknown): Error {
  if (!isRecord(read)) return new Error('the owner refused, and did not say why');
  const message = String(read['message']);
  const code = read['code'];
  switch (read['name']) {
    case 'RetryableError':
      return new RetryableError(message);
    case 'PermanentError':
      return new PermanentError(typeof code === 'number' ? code : 499, message);
    case 'FatalError':
      return new FatalError(message, { exitCode: code === 2 ? 2 : 1 });
    default:
      return new Error(message);
  }
}
