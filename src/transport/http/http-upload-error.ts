import { PermanentError, RetryableError } from '../../errors.js';
import { single } from './http-answer.js';
import type { Exchange } from './http-exchange.js';
import { operatorPause, retryTime, shown } from './http-error.js';
import { HostFailure } from '../host-failure.js';
import { Unsupported } from '../unsupported.js';

type Made = (what: string, notBefore: Date | undefined, now: number) => RetryableError | PermanentError;

/** Nothing changes before somebody does what the message says; what is sent meanwhile is kept. */
const forOperator =
  (remedy: string): Made =>
  (what, notBefore, now) =>
    new RetryableError(`${what}: ${remedy}`, { notBefore: notBefore ?? new Date(now + operatorPause) });

const later =
  (why: string): Made =>
  (what, notBefore) =>
    new RetryableError(`${what}: ${why}`, notBefore === undefined ? {} : { notBefore });

const hostLater =
  (why: string, pause = 0): Made =>
  (what, notBefore, now) => {
    const from = notBefore ?? (pause === 0 ? undefined : new Date(now + pause));
    return new HostFailure(`${what}: ${why}`, from === undefined ? {} : { notBefore: from });
  };

const never =
  (why: string): Made =>
  (what) =>
    new PermanentError(497, `${what}: ${why}`);

const account = 'check the entry in credentials.conf and the rights on the server';

/** Room is made by people and programs: asked for again after a while, and not for every file. */
const fullPause = 60_000;

/** What answers mean for those who change something on a server. */
const meanings: ReadonlyMap<number, Made> = new Map([
  [401, forOperator(account)],
  [403, forOperator(account)],
  [404, later('the directory is not there, or not there yet')],
  [405, forOperator('the server takes no files at this address, or a directory has this name')],
  [408, later('try later')],
  [409, later('the directory is not there, or a directory has this name')],
  [411, never('the server wants to know the length beforehand')],
  [412, later('it was changed at the same moment')],
  [413, forOperator('larger than the server takes: raise its limit (nginx: client_max_body_size)')],
  [414, never('the server takes no names of this length')],
  [415, never('the server takes no such files')],
  [421, later('try later')],
  [423, later('somebody has locked it: try later')],
  [424, later('try later')],
  [425, later('try later')],
  [429, hostLater('too many requests: try later')],
  [501, (what) => new Unsupported(`${what}: the server does not know how`)],
  [507, hostLater('no space left on the server, or its quota is used up', fullPause)],
]);

/** The error for an answer to something that changes the server. `verb` says what was tried: `send`, `remove`, ... */
export function uploadError(
  { status, headers, url }: Pick<Exchange, 'status' | 'headers'> & { readonly url: URL },
  verb: string,
  now = Date.now(),
): RetryableError | PermanentError {
  const made =
    meanings.get(status) ??
    (status >= 500
      ? hostLater('try later')
      : status < 400
        ? forOperator('it is elsewhere: name the address that it redirects to')
        : never('neither done nor a reason why it was not'));
  const notBefore = retryTime(single(headers, 'retry-after'), now);
  return made(`cannot ${verb} ${shown(url)}: the server answered ${status}`, notBefore, now);
}
