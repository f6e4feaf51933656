import { RetryableError } from '../errors.js';

/** The server as a whole is at fault, not the one file: refused, silent, reset, not found by name, 5xx, 429. */
export class HostFailure extends RetryableError {}

/** Bytes come, but so few that the transfer might never end. */
export class SlowServer extends HostFailure {}

/** Not even tried: the server has failed too often, and is left alone for a while. */
export class HostHeld extends RetryableError {}

const codes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EAI_AGAIN',
  'EAI_FAIL',
  'ENOTFOUND',
  'EPROTO',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
]);

/** An error code that says nothing about the file, only about the server or the way to it. */
export const isHostCode = (code: string | undefined): boolean => code !== undefined && codes.has(code);
