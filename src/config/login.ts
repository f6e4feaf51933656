import { parseUrl } from './url.js';

/** A URL taken apart and decoded, so that two spellings of one account are equal. */
export interface Login {
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Lower case, without the brackets of an IPv6 address. */
  readonly host: string;
  /** The scheme's own where the URL has none; undefined for schemes without. */
  readonly port: number | undefined;
  /** Of a broker: decoded path without leading slash, `/` when that is empty. */
  readonly vhost: string;
}

const ports: ReadonlyMap<string, number> = new Map([
  ['amqp', 5672],
  ['amqps', 5671],
  ['http', 80],
  ['https', 443],
  ['ftp', 21],
  ['ftps', 21],
  ['sftp', 22],
]);

/** Percent-decoding. What is no escape, or no UTF-8, stays as written, as the older programs have it. */
export function decodePercent(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch (error) {
      if (error instanceof URIError) return escapes;
      throw error;
    }
  });
}

/** Undefined for text that is no URL with a host (or a path, for `file:`). A broker without user is anonymous. */
export function parseLogin(url: string): Login | undefined {
  const parts = parseUrl(url);
  const place = /^(\[[0-9a-f:.]+\]|[^[\]:@]*)(?::(\d{1,5})?)?$/i.exec(parts?.host ?? '');
  if (parts === undefined || place === null) return undefined;
  const { scheme } = parts;
  const host = (place[1] ?? '').replace(/^\[|\]$/g, '').toLowerCase();
  const port = place[2] === undefined ? ports.get(scheme) : Number(place[2]);
  if ((host === '' && scheme !== 'file') || (port !== undefined && (port < 1 || port > 65_535)))
    return undefined;
  const isBroker = scheme === 'amqp' || scheme === 'amqps';
  const isNobody = isBroker && (parts.user === undefined || parts.user === '');
  const named = { user: parts.user === '' ? undefined : parts.user, password: parts.password };
  const { user, password } = isNobody ? { user: 'anonymous', password: 'anonymous' } : named;
  const path = isBroker ? decodePercent(parts.rest.replace(/^\//, '').replace(/[?#].*$/s, '')) : '';
  return {
    scheme,
    user: user === undefined ? undefined : decodePercent(user),
    password: password === undefined || password === '' ? undefined : decodePercent(password),
    host,
    port,
    vhost: path === '' ? '/' : path,
  };
}
