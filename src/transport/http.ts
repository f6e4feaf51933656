import type { Dispatcher } from 'undici';
import { PermanentError, systemCode } from '../errors.js';
import type { Logger } from '../logger.js';
import { bodyData, type Answer } from './http-body.js';
import { planBody, single, type BodyPlan } from './http-answer.js';
import { systemAddresses } from './guarded-connect.js';
import { httpError, shown } from './http-error.js';
import { isRedirect, nextOf, trailFrom } from './http-redirect.js';
import { openOrigins, type Lease, type Origins } from './origins.js';
import type {
  ByteRange,
  Credential,
  Download,
  Session,
  Site,
  TransferLimits,
  Transport,
} from './transport.js';
import { watch, type Watch } from './watch.js';

/** Bytes read of an answer that nobody wants, so that its connection can be used again. */
const mostWaste = 64 * 1024;

/** The answer to a request, redirects followed. */
interface Final extends Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
}

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
  const ask = async (path: string, stop: AbortSignal, range: ByteRange | undefined): Promise<Download> => {
    const url = retrievalUrl(site.url, path);
    const answer = await follow(url, authorization(site), rangeHeader(range), { origins, limits, stop });
    const plan = await planOrWaste(answer, range);
    if (plan.skip > 0 && !isWarned) {
      isWarned = true;
      logger.warning('the server ignores byte ranges: every block costs the whole file', {
        site: url.origin,
      });
    }
    const modified = new Date(single(answer.headers, 'last-modified') ?? Number.NaN);
    return {
      size: plan.take,
      modified: Number.isNaN(modified.getTime()) ? undefined : modified,
      data: await bodyData(answer, plan),
    };
  };
  return {
    get: (path, stop, range) => {
      const isEmpty = range?.length === 0;
      return isEmpty
        ? Promise.resolve({ size: 0, modified: undefined, data: nothing })
        : ask(path, stop, range);
    },
    close: async () => undefined,
  };
}

/** The plan for an answer; one that is not the file is read away before the error is thrown. */
async function planOrWaste(answer: Final, range: ByteRange | undefined): Promise<BodyPlan> {
  try {
    return planBody(answer.status, answer.headers, range, answer.url);
  } catch (error) {
    await waste(answer);
    answer.watch.end();
    answer.lease.release();
    throw error;
  }
}

const nothing: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
};

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
    url.username = '';
    url.password = '';
    url.hash = '';
    return url;
  } catch (error) {
    throw new PermanentError(417, 'the base URL is not a URL', { cause: error });
  }
}

const rangeHeader = (range: ByteRange | undefined): Record<string, string> =>
  range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };

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

/** Asks, and follows redirects by hand. */
async function follow(
  first: URL,
  secret: Record<string, string>,
  range: Record<string, string>,
  { origins, limits, stop }: Setting,
): Promise<Final> {
  for (let trail = trailFrom(first); ;) {
    const { url, isHome, publicOnly } = trail;
    const lease = await origins.lease(url.origin, stop, publicOnly);
    const guard = watch(stop, limits.timeout, shown(url));
    try {
      const answer = await request(url, { ...range, ...(isHome ? secret : {}) }, lease, guard);
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

async function request(
  url: URL,
  headers: Record<string, string>,
  lease: Lease,
  guard: Watch,
): Promise<Final> {
  const options = {
    path: `${url.pathname}${url.search}`,
    method: 'GET' as const,
    headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'sarracenia', ...headers },
    signal: guard.signal,
  };
  const ask = (): Promise<Dispatcher.ResponseData> => guard.wait(lease.pool.request(options));
  // The server may close a kept connection at the very moment we use it: that is no failure of the file.
  const answer = await ask().catch((error: unknown) => {
    if (!isLostConnection(error)) throw error;
    return ask();
  });
  // Without a listener, a body that is cut while nobody reads it would end the process.
  answer.body.on('error', () => undefined);
  return { status: answer.statusCode, headers: answer.headers, body: answer.body, url, lease, watch: guard };
}

const isLostConnection = (error: unknown): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(systemCode(error) ?? '');

/** Reads away a small body that nobody wants, or gives the connection up. Never throws. */
async function waste(answer: Answer): Promise<void> {
  try {
    await answer.watch.wait(answer.body.dump({ limit: mostWaste, signal: answer.watch.signal }));
  } catch {
    answer.body.destroy();
  }
}
