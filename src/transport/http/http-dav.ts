import type { Exchange } from './http-exchange.js';
import type { RemoteEntry } from '../transport.js';

/*
 * What WebDAV servers say, read for the few things that matter here. The text comes from strangers: it is short, and
 * looked at once from its beginning to its end.
 */

/** What a server can do, as it says itself. */
export interface Server {
  /** Directories can be made and looked at, and files renamed. */
  readonly isDav: boolean;
  /** A modification time can be sent along (X-OC-Mtime). */
  readonly takesTimes: boolean;
}

/** Reads the answer to OPTIONS. A server that does not answer it properly only takes files. */
export function serverOf({ status, headers }: Pick<Exchange, 'status' | 'headers'>): Server {
  if (status >= 300) return { isDav: false, takesTimes: false };
  const classes = words(headers['dav']);
  const methods = words(headers['allow']);
  return {
    isDav: classes.includes('1') || (methods.includes('move') && methods.includes('propfind')),
    takesTimes: classes.some((word) => /^(?:nextcloud|nc|oc|owncloud)-/u.test(word)),
  };
}

const words = (header: string | string[] | undefined): readonly string[] =>
  [header ?? []].flat().flatMap((text) =>
    text
      .toLowerCase()
      .split(',')
      .map((word) => word.trim()),
  );

/** What is asked about a name. */
export const question =
  '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>' +
  '<getlastmodified/></prop></propfind>';

/** Names that an answer to PROPFIND speaks of: the asked one, and those in it. */
export const namesIn = (answer: string): number =>
  answer.match(/<(?:[\w.-]{1,40}:)?response[\s>]/gu)?.length ?? 0;

/** What an answer to PROPFIND says of the name that was asked about, which comes first. */
export function entryIn(answer: string): RemoteEntry {
  const isDirectory = /<(?:[\w.-]{1,40}:)?collection[\s/>]/u.test(firstOf(answer));
  const size = valueOf(answer, 'getcontentlength');
  const modified = new Date(valueOf(answer, 'getlastmodified') ?? Number.NaN);
  return {
    kind: isDirectory ? 'directory' : 'file',
    size: !isDirectory && size !== undefined && /^\d{1,15}$/u.test(size) ? Number(size) : undefined,
    mode: undefined,
    modified: Number.isNaN(modified.getTime()) ? undefined : modified,
  };
}

const firstOf = (answer: string): string => answer.split(/<\/(?:[\w.-]{1,40}:)?response>/u, 1)[0] ?? '';

const valueOf = (answer: string, name: string): string | undefined =>
  new RegExp(`<(?:[\\w.-]{1,40}:)?${name}(?:\\s[^<>]{0,200})?>([^<]{1,100})<`, 'u')
    .exec(firstOf(answer))?.[1]
    ?.trim();
