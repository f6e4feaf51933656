/** A small read-only web server for one tree, on loopback. It serves files, whole or by range, and lists nothing. */
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { systemCode } from '../errors.js';

export interface FileServer {
  /** Base URL with final slash. */
  readonly url: string;
  /** Bytes of content sent so far. */
  readonly sent: () => number;
  readonly stop: () => Promise<void>;
}

/** What is answered instead of a file. */
interface Refusal {
  readonly code: 400 | 403 | 404 | 405 | 416;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Piece {
  readonly start: number;
  /** Not included. */
  readonly end: number;
}

/** The elements of the path asked for; a refusal for one that cannot be decoded, climbs, or names what web servers hide. */
export function elementsOf(url: string): readonly string[] | Refusal {
  let path: string;
  try {
    path = decodeURIComponent(url.replace(/[?#].*$/su, ''));
  } catch (error) {
    if (error instanceof URIError) return { code: 400 };
    throw error;
  }
  if (!path.startsWith('/') || path.includes('\0')) return { code: 400 };
  const elements = path.split('/').filter((element) => element !== '' && element !== '.');
  if (elements.includes('..') || elements.some((element) => /^\.ht/iu.test(element))) return { code: 403 };
  return elements;
}

/**
 * The bytes a Range header asks for; `undefined` (the whole file) when there is none, or several, or none that can be
 * understood; a refusal when they lie behind the end.
 */
export function pieceOf(range: string | undefined, size: number): Piece | Refusal | undefined {
  const found = /^bytes=(\d*)-(\d*)$/u.exec(range?.trim() ?? '');
  if (found === null) return undefined;
  const [, first = '', last = ''] = found;
  const beyond: Refusal = { code: 416, headers: { 'content-range': `bytes */${size}` } };
  if (first === '') {
    if (last === '') return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? beyond : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? beyond : { start, end };
}

const isRefusal = (value: object): value is Refusal => 'code' in value;

/** Opens a regular file of the tree, links followed only where they stay inside. */
async function openInside(root: string, elements: readonly string[]): Promise<FileHandle | Refusal> {
  try {
    const path = await realpath(join(root, ...elements));
    if (path !== root && !path.startsWith(root.endsWith(sep) ? root : root + sep)) return { code: 403 };
    // Not to wait for the other end of a pipe that lies in the tree.
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return { code: 404 };
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return { code: code === 'EACCES' || code === 'EPERM' || code === 'ELOOP' ? 403 : 404 };
  }
}

const refuse = (response: ServerResponse, { code, headers }: Refusal): void => {
  response.writeHead(code, { 'content-length': '0', ...headers }).end();
};

async function send(
  handle: FileHandle,
  request: IncomingMessage,
  response: ServerResponse,
  count: (bytes: number) => void,
): Promise<void> {
  const { size, mtime } = await handle.stat();
  const modified = mtime.toUTCString();
  const condition = request.headers['if-range'];
  const isSame = condition === undefined || condition === modified;
  const piece = pieceOf(isSame ? request.headers.range : undefined, size);
  if (piece !== undefined && isRefusal(piece)) {
    refuse(response, piece);
    return;
  }
  const { start, end } = piece ?? { start: 0, end: size };
  response.writeHead(piece === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': end - start,
    'last-modified': modified,
    'accept-ranges': 'bytes',
    ...(piece !== undefined && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
  });
  if (request.method === 'HEAD' || start === end) {
    response.end();
    return;
  }
  const content = handle.createReadStream({ start, end: end - 1, autoClose: false });
  await pipeline(content, response, { end: false });
  count(content.bytesRead);
  // It became shorter while it was read: the other side has to notice, and only a broken connection tells.
  if (content.bytesRead < end - start) response.destroy();
  else response.end();
}

async function answer(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  count: (bytes: number) => void,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    refuse(response, { code: 405, headers: { allow: 'GET, HEAD' } });
    return;
  }
  const elements = elementsOf(request.url ?? '');
  const handle = isRefusal(elements) ? elements : await openInside(root, elements);
  if (!('createReadStream' in handle)) {
    refuse(response, handle);
    return;
  }
  try {
    await send(handle, request, response, count);
  } finally {
    await handle.close();
  }
}

/** Serves the tree at `directory` on a free port of loopback. Throws what `realpath` throws when it is not there. */
export async function startFileServer(directory: string): Promise<FileServer> {
  const root = await realpath(directory);
  let sent = 0;
  const server = createServer((request, response) => {
    answer(root, request, response, (bytes) => (sent += bytes)).catch(() => {
      // The client went away, or the disk failed under us: either way it must not take this for a whole file.
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    sent: () => sent,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
