import type { Logger } from '../../logger.js';
import { bodyData, once } from './http-body.js';
import { planBody, single, validatorOf, type BodyPlan } from './http-answer.js';
import { authorization, follow, waste, type Setting } from './http-follow.js';
import { openWriting } from './http-put.js';
import { retrievalUrl } from './http-url.js';
import { openOrigins, type Origins } from './origins.js';
import { systemAddresses } from '../public-lookup.js';
import type { ByteRange, Download, Session, Site, TransferLimits, Transport } from '../transport.js';

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
  const setting: Setting = { origins, limits, secret: authorization(site) };
  const ask = async (path: string, stop: AbortSignal, range: ByteRange | undefined): Promise<Download> => {
    const url = retrievalUrl(site.url, path);
    const asked = { method: 'GET', headers: rangeHeader(range), stop, verb: 'fetch', doing: 'fetching' };
    const answer = await follow(url, asked, setting);
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
    ...openWriting(site, setting),
    close: async () => undefined,
  };
}

const rangeHeader = (range: ByteRange | undefined): Record<string, string> =>
  range === undefined
    ? {}
    : {
        range: `bytes=${range.offset}-${range.offset + range.length - 1}`,
        ...(range.validator !== undefined && { 'if-range': range.validator }),
      };
