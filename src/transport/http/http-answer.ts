import type { Dispatcher } from 'undici';
import { PermanentError, RetryableError } from '../../errors.js';
import { shown, statusError } from './http-error.js';
import type { ByteRange } from '../transport.js';

/** What to do with the body of an accepted answer. */
export interface BodyPlan {
  /** Bytes to pass over first: the server does not know ranges and sends the whole file. */
  readonly skip: number;
  /** Bytes to take, when it is known; what follows is not read. */
  readonly take: number | undefined;
  /** The body is nothing but the wanted bytes, and this many. */
  readonly whole: number | undefined;
  /** The file has changed since the bytes before the range came: this is all of the new one. */
  readonly isAnew?: boolean;
}

type Headers = Dispatcher.ResponseData['headers'];

/** A header that must not appear twice. */
export function single(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/**
 * Decides whether an answer is the file, or the range of it, that was asked for. Throws RetryableError or
 * PermanentError when it is not.
 */
export function planBody(status: number, headers: Headers, range: ByteRange | undefined, url: URL): BodyPlan {
  const isFile = status === 200 || status === 203 || (status === 206 && range !== undefined);
  if (!isFile) throw statusError(status, single(headers, 'retry-after'), url);
  refuseEncoding(headers, url);
  const length = contentLength(headers);
  if (range === undefined) return { skip: 0, take: length, whole: length };
  if (status === 206) {
    refuseOther(headers, range, url);
    const taken = rangeLength(headers, range, url);
    return { skip: 0, take: taken, whole: taken };
  }
  if (range.validator !== undefined) return { skip: 0, take: length, whole: length, isAnew: true };
  const there =
    length === undefined ? range.length : Math.min(range.length, Math.max(0, length - range.offset));
  return { skip: range.offset, take: there, whole: length === there ? there : undefined };
}

/**
 * What the server says that no other version of the file has (the protocol's strong validators): an entity tag that is
 * not weak, or a modification time so old that no second version can bear it.
 */
export function validatorOf(headers: Headers): string | undefined {
  const tag = single(headers, 'etag');
  if (tag !== undefined && /^"[^"]*"$/u.test(tag)) return tag;
  const modified = single(headers, 'last-modified');
  const age = Date.parse(single(headers, 'date') ?? '') - Date.parse(modified ?? '');
  return age >= settled ? modified : undefined;
}

/** Milliseconds after which a modification time of whole seconds tells versions apart. */
const settled = 60_000;

/** Some servers and caches pass over the condition, and send a range of whatever version they have. */
function refuseOther(headers: Headers, { validator }: ByteRange, url: URL): void {
  if (validator === undefined) return;
  const other = single(headers, validator.startsWith('"') ? 'etag' : 'last-modified');
  if (other === undefined || other === validator) return;
  throw new RetryableError(`${shown(url)} has changed while it was fetched`);
}

function contentLength(headers: Headers): number | undefined {
  const text = single(headers, 'content-length');
  if (text === undefined || !/^\d{1,15}$/u.test(text)) return undefined;
  return Number(text);
}

/** Bytes of a partial answer, which must begin where we asked and hold no more than we asked for. */
function rangeLength(headers: Headers, range: ByteRange, url: URL): number {
  const text = single(headers, 'content-range') ?? '';
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(?:\d{1,15}|\*)$/u.exec(text);
  const from = Number(match?.[1] ?? Number.NaN);
  const to = Number(match?.[2] ?? Number.NaN);
  if (from !== range.offset || !(to >= from) || to >= range.offset + range.length) {
    const asked = `${range.offset}-${range.offset + range.length - 1}`;
    throw new RetryableError(
      `${shown(url)} sent another range than asked for: ${text.slice(0, 80)} for ${asked}`,
    );
  }
  return to - from + 1;
}

/** File names that say themselves what a server may call an encoding: then the bytes are those of the file. */
const namedEncodings = new Map([
  ['gzip', /\.(?:gz|tgz|svgz|emz)$/iu],
  ['x-gzip', /\.(?:gz|tgz|svgz|emz)$/iu],
  ['compress', /\.(?:z|taz)$/iu],
  ['x-compress', /\.(?:z|taz)$/iu],
  ['bzip2', /\.(?:bz2|tbz2?)$/iu],
  ['x-bzip2', /\.(?:bz2|tbz2?)$/iu],
  ['br', /\.br$/iu],
  ['zstd', /\.(?:zst|tzst)$/iu],
  ['xz', /\.(?:xz|txz)$/iu],
]);

/** We asked for the bytes as they are; something else is not the announced file. */
function refuseEncoding(headers: Headers, url: URL): void {
  const encoding = single(headers, 'content-encoding')?.trim().toLowerCase();
  if (encoding === undefined || encoding === '' || encoding === 'identity') return;
  if (namedEncodings.get(encoding)?.test(url.pathname) === true) return;
  const remedy = 'the server must not encode what is announced by size and checksum';
  throw new PermanentError(
    499,
    `${shown(url)} came encoded as ${encoding.slice(0, 40)} although not asked: ${remedy}`,
  );
}
