import { PermanentError, RetryableError, messageOf, systemCode } from '../../errors.js';
import { HostFailure, isHostCode } from '../host-failure.js';
import { status, statusOf } from './channel.js';

/** Without an operator nothing changes: not tried again within a pass, and not soon after. */
const operatorPause = 5 * 60_000;

/** A disk does not empty itself in a moment. */
const spacePause = 60_000;

export const operatorTime = (): Date => new Date(Date.now() + operatorPause);

/** The house's error for what a server answered about one file. `what` names what was tried: `cannot read sftp://...`. */
export function sftpError(thrown: unknown, what: string): RetryableError | PermanentError {
  if (thrown instanceof RetryableError || thrown instanceof PermanentError) return thrown;
  const options = { cause: thrown };
  switch (statusOf(thrown)) {
    case status.noSuchFile:
      return new RetryableError(`${what}: not there, or not there yet`, options);
    case status.permissionDenied:
      return new RetryableError(`${what}: permission denied: check owner and permissions on the server`, {
        ...options,
        notBefore: operatorTime(),
      });
    case status.noSpace:
    case status.quotaExceeded:
      return noSpace(what, thrown);
    case status.unsupported:
      return new RetryableError(`${what}: the server cannot do that`, {
        ...options,
        notBefore: operatorTime(),
      });
    case undefined: {
      const code = systemCode(thrown);
      const Failure = isHostCode(code) ? HostFailure : RetryableError;
      return new Failure(`${what}: ${messageOf(thrown)}`, options);
    }
    default:
      return new RetryableError(`${what}: the server answered '${shownText(messageOf(thrown))}'`, options);
  }
}

export const noSpace = (what: string, cause: unknown): RetryableError =>
  new RetryableError(`${what}: no space left on the server, or its quota is used up: make room there`, {
    cause,
    notBefore: new Date(Date.now() + spacePause),
  });

/** Text of a server, short and without control characters. */
export const shownText = (text: string): string =>
  text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 200);
