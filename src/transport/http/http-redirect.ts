import type { Dispatcher } from 'undici';
import { PermanentError, RetryableError } from '../../errors.js';
import { single } from './http-answer.js';
import { shown } from './http-error.js';

/** Redirects followed for one file. */
const mostRedirects = 5;

const redirects = new Set([301, 302, 303, 307, 308]);

/** Where a file is asked for at the moment, on its way through redirects. */
export interface Trail {
  readonly first: URL;
  readonly url: URL;
  /** The credentials of the site may be sent: once another origin had its say they stay at home, even if it sends us back. */
  readonly isHome: boolean;
  /** Once a public server had its say, no address may be asked that is not public. */
  readonly publicOnly: boolean;
  readonly hops: number;
}

type Answered = Pick<Dispatcher.ResponseData, 'headers'> & { readonly status: number };

/** The beginning of the way. */
export const trailFrom = (first: URL, publicOnly: boolean): Trail => ({
  first,
  url: first,
  isHome: true,
  publicOnly,
  hops: 0,
});

/** An answer with this status names another place. */
export const isRedirect = (status: number): boolean => redirects.has(status);

/**
 * The next place to ask, as an answer with a redirect names it: what may be sent where is decided here. `fromPublic`: the
 * answer came from a public address, and such a one has no say about the machines of this network. Throws
 * PermanentError for a place that is refused, RetryableError when the way is too long.
 */
export function nextOf(trail: Trail, { status, headers }: Answered, fromPublic: boolean): Trail {
  const { first, url, isHome, publicOnly, hops } = trail;
  const next = redirectTarget(status, headers, url);
  if (hops === mostRedirects)
    throw new RetryableError(`${shown(first)} redirected more than ${mostRedirects} times`);
  return {
    first,
    url: next,
    isHome: isHome && next.origin === first.origin,
    publicOnly: publicOnly || fromPublic,
    hops: hops + 1,
  };
}

function redirectTarget(status: number, headers: Answered['headers'], url: URL): URL {
  const location = single(headers, 'location');
  let target: URL;
  try {
    target = new URL(location ?? '', url);
  } catch (error) {
    throw new PermanentError(499, `${shown(url)} redirects to something that is not a URL`, { cause: error });
  }
  if (location === undefined)
    throw new PermanentError(499, `${shown(url)} answered ${status} without saying where`);
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    throw new PermanentError(499, `${shown(url)} redirects to ${target.protocol} which is refused`);
  }
  if (url.protocol === 'https:' && target.protocol === 'http:') {
    throw new PermanentError(499, `${shown(url)} redirects from https to http which is refused`);
  }
  target.username = '';
  target.password = '';
  return target;
}
