import { PermanentError, RetryableError } from '../../errors.js';
import type { Answer } from './http-body.js';
import { single } from './http-answer.js';
import { entryIn, namesIn, question, serverOf, type Server } from './http-dav.js';
import { httpError, shown } from './http-error.js';
import { isRedirect } from './http-redirect.js';
import { follow, waste, type Asked, type Setting } from './http-follow.js';
import { sendingOf, sendingText, type Sending } from './http-sending.js';
import { uploadError } from './http-upload-error.js';
import { uploadUrl } from './http-url.js';
import type { RemoteEntry, Session, Site, Upload } from '../transport.js';
import { Unsupported } from '../unsupported.js';

/*
 * Writing to web servers: those that speak WebDAV, and those that only take files (PUT), as stores of objects do. The
 * latter show a file under its name when it is whole, so it needs no other name before; directories are theirs.
 */

type Writing = Required<Pick<Session, 'put' | 'makeDirectory' | 'rename' | 'remove' | 'look'>>;

/** An answer that is here with all that we want of it. */
type Said = Pick<Answer, 'status' | 'headers' | 'url'> & { readonly text: string };

interface Request extends Omit<Asked, 'method' | 'stop' | 'doing'> {
  readonly doing?: string;
  /** Characters of the answer that are wanted. */
  readonly wanted?: number;
}

type Say = (method: string, url: URL, request: Request, stop: AbortSignal) => Promise<Said>;

/** Milliseconds for removing what a transfer that failed has left. */
const tidyLimit = 2000;

/** Characters of an answer about one name. */
const longestAnswer = 64 * 1024;

export function openWriting(site: Site, setting: Setting): Writing {
  const say: Say = (method, url, request, stop) => ask(method, url, request, { setting, stop });
  const urlOf = (path: string): URL => uploadUrl(site.url, path);
  const server = askOnce((url, stop) => inquire(say, url, stop));
  const isSigned = new URL(site.url).search !== '';
  const kindOf = (path: string, stop: AbortSignal): Promise<Server> =>
    // A signature is good for one kind of request.
    isSigned ? Promise.resolve(plain) : server(urlOf(parentOf(path)), stop);

  const look = async (path: string, stop: AbortSignal): Promise<RemoteEntry | undefined> => {
    const { isDav } = await kindOf(path, stop);
    return isDav ? lookByDav(say, urlOf(path), stop) : lookByHead(say, urlOf(path), stop);
  };
  const refuseFile = async (path: string, stop: AbortSignal): Promise<void> => {
    if ((await look(path, stop))?.kind !== 'file') return;
    throw new RetryableError(`cannot make the directory ${shown(urlOf(path))}: a file is in the way`);
  };
  const makeDirectory = async (path: string, stop: AbortSignal): Promise<void> => {
    const clean = path.replace(/^\/+|\/+$/gu, '');
    if (clean === '' || isSigned) return;
    const url = urlOf(`${clean}/`);
    const { isDav } = await kindOf(clean, stop);
    for (let isAgain = false; ; isAgain = true) {
      const said = await say('MKCOL', url, { verb: 'make the directory' }, stop);
      if (said.status < 300) return;
      // Something is there; or there are no directories here, and then the file says what is wrong, if anything.
      if (said.status === 405) return refuseFile(clean, stop);
      if (said.status === 409 && !isAgain && clean.includes('/')) await makeDirectory(parentOf(clean), stop);
      else if (isDav || said.status === 401 || said.status === 409 || isPassing(said.status)) {
        // Below a file, some only answer that they were asked badly.
        for (const one of [parentOf(clean), clean]) await refuseFile(one, stop);
        throw uploadError(said, 'make the directory');
      } else return;
    }
  };
  const rename = async (from: string, to: string, stop: AbortSignal): Promise<void> => {
    const { isDav } = await kindOf(to, stop);
    if (!isDav)
      throw new Unsupported(`cannot rename ${shown(urlOf(from))}: the server does not speak WebDAV`);
    await move(say, urlOf(from), urlOf(to), stop);
  };
  const put = async (upload: Upload, stop: AbortSignal): Promise<void> => {
    const { path, inflight, offset } = upload;
    if (offset !== undefined) {
      throw new Unsupported(`cannot write into ${shown(urlOf(path))}: web servers take whole files`);
    }
    const sending = sendingOf(upload);
    try {
      const kind = await kindOf(path, stop);
      const headers = headersFor(upload, sending, { ...kind, url: urlOf(path) });
      if (inflight === undefined || !kind.isDav) {
        await store(say, urlOf(path), { headers, sending }, stop);
      } else {
        const names = { inflight: urlOf(inflight), final: urlOf(path) };
        await storeAside(say, names, { headers, sending }, stop);
      }
    } finally {
      sending.end();
    }
  };
  return {
    put,
    look,
    makeDirectory: (path, _mode, stop) => makeDirectory(path, stop),
    rename,
    remove: async (path, stop) => {
      const { isDav } = await kindOf(path, stop);
      // To remove a directory means all that is in it.
      const form = isDav ? await removable(say, urlOf(path), stop) : '';
      if (form !== undefined) await removeFile(say, urlOf(path + form), stop);
    },
  };
}

const plain: Server = { isDav: false, takesTimes: false };

const parentOf = (path: string): string => path.replace(/^\/+|\/*[^/]*\/*$/gu, '');

const isPassing = (status: number): boolean => status === 429 || (status >= 500 && status !== 501);

/** Asks and reads the answer, as much of it as is wanted. */
async function ask(
  method: string,
  url: URL,
  { wanted = 0, doing = 'asking for', ...request }: Request,
  { setting, stop }: { readonly setting: Setting; readonly stop: AbortSignal },
): Promise<Said> {
  const answer = await follow(url, { method, ...request, stop, doing }, setting);
  const { status, headers } = answer;
  try {
    const text = await textOf(answer, wanted);
    await waste(answer);
    return { status, headers, url: answer.url, text };
  } catch (error) {
    answer.drop();
    throw httpError(error, url, request.verb);
  } finally {
    answer.watch.end();
    answer.lease.release();
  }
}

async function textOf(answer: Answer, wanted: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (let left = wanted; left > 0;) {
    const piece = await answer.read();
    if (piece === undefined) break;
    pieces.push(piece);
    left -= piece.byteLength;
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Asks the server what it can do. */
async function inquire(say: Say, url: URL, stop: AbortSignal): Promise<Server> {
  const said = await say('OPTIONS', url, { verb: 'ask' }, stop);
  if (isPassing(said.status)) throw uploadError(said, 'ask');
  return serverOf(said);
}

/** Asks until there is an answer; those who come meanwhile wait for it. */
function askOnce(work: (url: URL, stop: AbortSignal) => Promise<Server>): typeof work {
  let known: Server | undefined;
  let asking: Promise<Server> | undefined;
  return async (url, stop) => {
    if (known !== undefined) return known;
    if (asking !== undefined) {
      // Whoever asked may have been stopped: then each asks for itself.
      const other = await asking.catch(() => undefined);
      if (other !== undefined) return other;
    }
    asking = work(url, stop);
    known = await asking;
    return known;
  };
}

function headersFor(
  { modified }: Upload,
  sending: Sending,
  { takesTimes, url }: Server & { readonly url: URL },
): Record<string, string> {
  const isBlob = url.searchParams.has('sig') && url.searchParams.has('sv');
  return {
    'content-type': 'application/octet-stream',
    ...(sending.length !== undefined && { 'content-length': String(sending.length) }),
    ...(takesTimes &&
      modified !== undefined && { 'x-oc-mtime': String(Math.trunc(modified.getTime() / 1000)) }),
    // Without it, this kind of store asks back.
    ...(isBlob && { 'x-ms-blob-type': 'BlockBlob' }),
  };
}

type Body = Required<Pick<Asked, 'headers'>> & { readonly sending: Sending };

const sendWords = { verb: 'send', doing: 'sending' } as const;

async function store(say: Say, url: URL, body: Body, stop: AbortSignal): Promise<void> {
  const said = await say('PUT', url, { ...body, ...sendWords }, stop);
  if (!isStored(said.status)) throw uploadError(said, 'send');
}

const isStored = (status: number): boolean => status === 200 || status === 201 || status === 204;

interface Names {
  readonly inflight: URL;
  readonly final: URL;
}

/** Sends under the one name and renames to the other; leaves nothing of the first when it fails. */
async function storeAside(
  say: Say,
  { inflight, final }: Names,
  body: Body,
  stop: AbortSignal,
): Promise<void> {
  let mayStand = true;
  try {
    const said = await say('PUT', inflight, { ...body, ...sendWords }, stop);
    mayStand = isStored(said.status) || said.status >= 500;
    if (!isStored(said.status)) throw uploadError(said, 'send');
    await move(say, inflight, final, stop);
  } catch (error) {
    // We may be stopped, and this is still to be done.
    if (mayStand)
      await say('DELETE', inflight, { verb: 'remove' }, AbortSignal.timeout(tidyLimit)).catch(nothing);
    throw error;
  }
}

const nothing = (): void => undefined;

/**
 * Renames. To replace what is there means, for a directory, all that is in it: so that is asked about before anything is
 * replaced.
 */
async function move(say: Say, from: URL, to: URL, stop: AbortSignal): Promise<void> {
  const first = await moveOver(say, from, to, 'F', stop);
  if (first.status < 300) return;
  // Some send us to the directory that has this name.
  if (first.status !== 412 && !isRedirect(first.status)) throw uploadError(first, 'rename');
  const there = await lookByDav(say, to, stop);
  if (there?.kind === 'directory') {
    throw new PermanentError(497, `cannot put a file at ${shown(to)}: there is a directory of this name`);
  }
  const second = await moveOver(say, from, to, 'T', stop);
  if (second.status >= 300) throw uploadError(second, 'rename');
}

async function moveOver(
  say: Say,
  from: URL,
  to: URL,
  overwrite: 'T' | 'F',
  stop: AbortSignal,
): Promise<Said> {
  const moved = (destination: string): Promise<Said> =>
    say('MOVE', from, { headers: { destination, overwrite }, verb: 'rename' }, stop);
  const said = await moved(to.href);
  // Behind a proxy that ends TLS, a server may not know itself by the name that we know it by.
  return said.status === 400 || said.status === 502 ? moved(`${to.pathname}${to.search}`) : said;
}

async function lookByDav(say: Say, url: URL, stop: AbortSignal): Promise<RemoteEntry | undefined> {
  const said = await propfind(say, url, '0', stop);
  return said === undefined ? undefined : entryIn(said.text);
}

/** Undefined when nothing is there. */
async function propfind(say: Say, url: URL, depth: '0' | '1', stop: AbortSignal): Promise<Said | undefined> {
  const headers = { depth, 'content-type': 'application/xml; charset=utf-8' };
  const request = { headers, sending: sendingText(question), wanted: longestAnswer, verb: 'look at' };
  const said = await say('PROPFIND', url, request, stop);
  if (said.status === 404 || said.status === 410) return undefined;
  if (said.status !== 207) throw uploadError(said, 'look at');
  return said;
}

async function lookByHead(say: Say, url: URL, stop: AbortSignal): Promise<RemoteEntry | undefined> {
  const said = await say('HEAD', url, { verb: 'look at' }, stop);
  if (said.status === 404 || said.status === 410) return undefined;
  // Asked for without its slash, a directory is answered under its own name, if its list is shown at all.
  const isDirectory = said.url.pathname.endsWith('/') && !url.pathname.endsWith('/');
  if (said.status >= 300 && !(isDirectory && said.status === 403)) throw uploadError(said, 'look at');
  const length = single(said.headers, 'content-length');
  const modified = new Date(single(said.headers, 'last-modified') ?? Number.NaN);
  return {
    kind: isDirectory ? 'directory' : 'file',
    size: !isDirectory && length !== undefined ? Number(length) : undefined,
    mode: undefined,
    modified: Number.isNaN(modified.getTime()) ? undefined : modified,
  };
}

/**
 * What stands behind the name of what can be removed: nothing for a file, a slash for a directory that is empty; undefined
 * when nothing is there. Throws RetryableError for a directory with something in it.
 */
async function removable(say: Say, url: URL, stop: AbortSignal): Promise<'' | '/' | undefined> {
  const said = await propfind(say, url, '1', stop);
  if (said === undefined) return undefined;
  if (entryIn(said.text).kind !== 'directory') return '';
  if (namesIn(said.text) === 1) return '/';
  throw new RetryableError(`cannot remove ${shown(url)}: the directory is not empty`);
}

async function removeFile(say: Say, url: URL, stop: AbortSignal): Promise<void> {
  const said = await say('DELETE', url, { verb: 'remove' }, stop);
  if (said.status < 300 || said.status === 404 || said.status === 410) return;
  throw uploadError(said, 'remove');
}
