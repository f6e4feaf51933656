import { PermanentError, RetryableError, messageOf, systemCode } from '../../errors.js';

import { HostFailure, isHostCode } from '../host-failure.js';

/** Without an operator nothing changes: not tried again within a pass, and not soon after. */
export const operatorPause = 5 * 60_000;

/** Longest pause a server may ask for. */
const longestPause = 24 * 3_600_000;

const certificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME/u;

/** A URL as it may be shown: no user, no password, no query (which may carry a signature). */
export const shown = (url: URL): string => `${url.origin}${url.pathname}`;

/** The house's error for whatever the HTTP library threw; `verb` says what was tried. */
export function httpError(thrown: unknown, url: URL, verb = 'fetch'): RetryableError | PermanentError {
  if (thrown instanceof RetryableError || thrown instanceof PermanentError) return thrown;
  const code = systemCode(thrown);
  const what = `cannot ${verb} ${shown(url)}`;
  if (code === 'UND_ERR_INVALID_ARG')
    return new PermanentError(499, `${what}: ${messageOf(thrown)}`, { cause: thrown });
  if (code !== undefined && certificate.test(code)) {
    const remedy = "correct the server's certificate, or choose a lower tls_rigour";
    const notBefore = new Date(Date.now() + operatorPause);
    return new HostFailure(`${what}: certificate not accepted (${code}): ${remedy}`, {
      cause: thrown,
      notBefore,
    });
  }
  const Failure = isHostCode(code) ? HostFailure : RetryableError;
  return new Failure(`${what}: ${code ?? ''} ${messageOf(thrown)}`, { cause: thrown });
}

/** The error for an answer that is not the file. */
export function statusError(
  status: number,
  retryAfter: string | undefined,
  url: URL,
  now = Date.now(),
): RetryableError | PermanentError {
  const what = `${shown(url)} answered ${status}`;
  switch (status) {
    case 401:
    case 403:
      return new RetryableError(`${what}: check the entry in credentials.conf and the rights on the server`, {
        notBefore: retryTime(retryAfter, now) ?? new Date(now + operatorPause),
      });
    case 404:
      return new RetryableError(`${what}: not there, or not there yet`);
    case 410:
      return new PermanentError(499, `${what}: gone for good`);
    case 416:
      return new RetryableError(`${what}: the file is shorter than announced`);
    case 408:
    case 421:
    case 423:
    case 425:
      return retryable(RetryableError, what, retryAfter, now);
    case 429:
      return retryable(HostFailure, what, retryAfter, now);
    default:
      return status >= 500
        ? retryable(HostFailure, what, retryAfter, now)
        : new PermanentError(499, `${what}: not a file`);
  }
}

function retryable(
  Failure: typeof RetryableError,
  what: string,
  retryAfter: string | undefined,
  now: number,
): RetryableError {
  const notBefore = retryTime(retryAfter, now);
  return new Failure(`${what}: try later`, notBefore === undefined ? {} : { notBefore });
}

/** The moment that a Retry-After header names: seconds from now, or a date. At most a day ahead. */
export function retryTime(header: string | undefined, now: number): Date | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const at = /^\d{1,9}$/u.test(text) ? now + Number(text) * 1000 : Date.parse(text);
  return Number.isNaN(at) ? undefined : new Date(Math.min(Math.max(at, now), now + longestPause));
}
