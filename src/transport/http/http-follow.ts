import { PermanentError, RetryableError } from '../../errors.js';
import type { Answer } from './http-body.js';
import { httpError, operatorPause, shown } from './http-error.js';
import { exchange } from './http-exchange.js';
import { isRedirect, nextOf, trailFrom } from './http-redirect.js';
import type { Sending } from './http-sending.js';
import type { Origins } from './origins.js';
import type { Credential, Site, TransferLimits } from '../transport.js';
import { watch } from '../watch.js';

/** Bytes read of an answer that nobody wants, so that its connection can be used again. */
const mostWaste = 64 * 1024;

const ownHeaders = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'sarracenia' };

/** What all requests of one session have in common. */
export interface Setting {
  readonly origins: Origins;
  readonly limits: TransferLimits;
  /** Headers that are for the site alone. */
  readonly secret: Readonly<Record<string, string>>;
}

export interface Asked {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly sending?: Sending | undefined;
  readonly stop: AbortSignal;
  /** For messages: `fetch`, `send`, ... */
  readonly verb: string;
  /** The same, of something that goes on. */
  readonly doing: string;
}

/** What changes a tree is done in the one place that is named: who asks sees the redirect. */
const staying = new Set(['MKCOL', 'MOVE', 'DELETE']);

/** Asks, and follows redirects by hand. Who gets the answer ends its watch and releases its lease. */
export async function follow(
  first: URL,
  asked: Asked,
  { origins, limits, secret }: Setting,
): Promise<Answer> {
  const { method, sending, stop, verb, doing } = asked;
  for (let trail = trailFrom(first, limits.publicOnly === true); ;) {
    const { url, isHome, publicOnly } = trail;
    const leasing = origins.lease(url.origin, stop, publicOnly);
    const lease = leasing instanceof Promise ? await leasing : leasing;
    const guard = watch(stop, limits.timeout, () => shown(url), doing);
    try {
      const headers = Object.assign({}, ownHeaders, asked.headers, isHome ? secret : undefined);
      const wanted = { method, path: `${url.pathname}${url.search}`, headers, sending };
      const answer = Object.assign({ url, lease, watch: guard }, await exchange(lease.pool, wanted, guard));
      if (!isRedirect(answer.status) || staying.has(method)) return answer;
      await waste(answer);
      if (method === 'PUT') refuseOtherway(answer, sending);
      trail = nextOf(trail, answer, lease.isPublic() && limits.redirectPrivate !== true);
    } catch (error) {
      guard.end();
      lease.release();
      throw httpError(error, url, verb);
    }
    guard.end();
    lease.release();
  }
}

/**
 * A file is only sent on where the server says that the same is to be done there (307, 308), and only as long as all of
 * it can be sent: a server that has taken a part cannot give it back.
 */
function refuseOtherway({ status, url }: Answer, sending: Sending | undefined): void {
  const remedy = 'name the address that it redirects to';
  const what = `${shown(url)} redirects (${status}) where a file is to be put`;
  if (status !== 307 && status !== 308) throw new PermanentError(497, `${what}: ${remedy}`);
  if (sending?.isFresh() !== false) return;
  throw new RetryableError(`${what}, and has taken a part of it already: ${remedy}`, {
    notBefore: new Date(Date.now() + operatorPause),
  });
}

/** Reads away a small body that nobody wants, or gives the connection up. Never throws. */
export async function waste(answer: Answer): Promise<void> {
  try {
    for (let left = mostWaste; left > 0;) {
      const data = await answer.read();
      if (data === undefined) return;
      left -= data.byteLength;
    }
  } catch {
    // Then there is no connection left to be used again.
  }
  answer.drop();
}

/** The header with which we say who we are on a site; none where credentials.conf says nothing. */
export function authorization({ credential }: Site): Record<string, string> {
  const value = credential === undefined ? undefined : scheme(credential);
  return value === undefined ? {} : { authorization: value };
}

function scheme({ bearerToken, user, password }: Credential): string | undefined {
  if (bearerToken !== undefined) return `Bearer ${bearerToken}`;
  if (user === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
