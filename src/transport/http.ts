import { PermanentError } from '../errors.js';
import type { Logger } from '../logger.js';
import { bodyData, once, type Answer } from './http-body.js';
import { planBody, single, validatorOf, type BodyPlan } from './http-answer.js';
import { systemAddresses } from './guarded-connect.js';
import { httpError, shown } from './http-error.js';
import { exchange } from './http-exchange.js';
import { isRedirect, nextOf, trailFrom } from './http-redirect.js';
import { openOrigins, type Origins } from './origins.js';
import type {
  ByteRange,
  Credential,
  Download,
  Session,
  Site,
  TransferLimits,
  Transport,
} from './transport.js';
import { watch } from './watch.js';

/** Bytes read of an answer that nobody wants, so that its connection can be used again. */
const mostWaste = 64 * 1024;

/** Opens the transport for `http:` and `https:`. Connections are kept and shared by all sessions. */
export function openHttp(limits: TransferLimits, logger: Logger, addresses = systemAddresses): Transport {
  const origins = openOrigins(limits, addresses);
  return {
    open: async (site) => openSite(site, origins, limits, logger),
    close: origins.close,
  };
}

function openSite(site: Site, origins: Origins, limits: TransferLimits, logger: Logger): Session {
  let isWarned = false;
  const secret = authorization(site);
  const ask = async (path: string, stop: AbortSignal, range: ByteRange | undefined): Promise<Download> => {
    const url = retrievalUrl(site.url, path);
    const answer = await follow(url, secret, rangeHeader(range), { origins, limits, stop });
    let plan: BodyPlan;
    try {
      plan = planBody(answer.status, answer.headers, range, answer.url);
    } catch (error) {
      await waste(answer);
      answer.watch.end();
      answer.lease.release();
      throw error;
    }
    if (plan.skip > 0 && !isWarned) {
      isWarned = true;
      logger.warning('the server ignores byte ranges: every block costs the whole file', {
        site: url.origin,
      });
    }
    const validator = validatorOf(answer.headers);
    const modified = new Date(single(answer.headers, 'last-modified') ?? Number.NaN);
    return {
      size: plan.take,
      modified: Number.isNaN(modified.getTime()) ? undefined : modified,
      ...(validator !== undefined && { validator }),
      ...(plan.isAnew === true && { isAnew: true }),
      ...bodyData(answer, plan),
    };
  };
  return {
    get: (path, stop, range) => {
      const isEmpty = range?.length === 0;
      return isEmpty
        ? Promise.resolve({ size: 0, modified: undefined, data: once([]) })
        : ask(path, stop, range);
    },
    close: async () => undefined,
  };
}

/**
 * The URL of a file: base and path joined by one slash, each element of the path percent-encoded (the format, forming
 * the retrieval URL). Throws PermanentError 417 for a path that no URL can carry or that climbs above the base.
 */
export function retrievalUrl(base: string, path: string): URL {
  const elements = path.replace(/^\/+/u, '').split('/');
  if (elements.includes('..') || /\p{Cs}|\0/u.test(path)) {
    throw new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} cannot be asked for`);
  }
  try {
    const url = new URL(`${base.replace(/\/+$/u, '')}/${elements.map(encodeURIComponent).join('/')}`);
    // Each of these would have the URL put together anew.
    if (url.username !== '') url.username = '';
    if (url.password !== '') url.password = '';
    if (url.hash !== '') url.hash = '';
    return url;
  } catch (error) {
    throw new PermanentError(417, 'the base URL is not a URL', { cause: error });
  }
}

const rangeHeader = (range: ByteRange | undefined): Record<string, string> =>
  range === undefined
    ? {}
    : {
        range: `bytes=${range.offset}-${range.offset + range.length - 1}`,
        ...(range.validator !== undefined && { 'if-range': range.validator }),
      };

function authorization({ credential }: Site): Record<string, string> {
  const value = credential === undefined ? undefined : scheme(credential);
  return value === undefined ? {} : { authorization: value };
}

function scheme({ bearerToken, user, password }: Credential): string | undefined {
  if (bearerToken !== undefined) return `Bearer ${bearerToken}`;
  if (user === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

interface Setting {
  readonly origins: Origins;
  readonly limits: TransferLimits;
  readonly stop: AbortSignal;
}

const ownHeaders = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'sarracenia' };

/** Asks, and follows redirects by hand. */
async function follow(
  first: URL,
  secret: Record<string, string>,
  range: Record<string, string>,
  { origins, limits, stop }: Setting,
): Promise<Answer> {
  for (let trail = trailFrom(first, limits.publicOnly === true); ;) {
    const { url, isHome, publicOnly } = trail;
    const leasing = origins.lease(url.origin, stop, publicOnly);
    const lease = leasing instanceof Promise ? await leasing : leasing;
    const guard = watch(stop, limits.timeout, () => shown(url));
    try {
      const headers = Object.assign({}, ownHeaders, range, isHome ? secret : undefined);
      const wanted = { path: `${url.pathname}${url.search}`, headers };
      const answer = Object.assign({ url, lease, watch: guard }, await exchange(lease.pool, wanted, guard));
      if (!isRedirect(answer.status)) return answer;
      await waste(answer);
      trail = nextOf(trail, answer, lease.isPublic() && limits.redirectPrivate !== true);
    } catch (error) {
      guard.end();
      lease.release();
      throw httpError(error, url);
    }
    guard.end();
    lease.release();
  }
}

/** Reads away a small body that nobody wants, or gives the connection up. Never throws. */
async function waste(answer: Answer): Promise<void> {
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
