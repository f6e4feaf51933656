import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Compared, Fetched } from '../../../src/flow/item.js';
import { silentLogger } from '../../../src/logger.js';
import { fetch } from '../../../src/stage/fetch/fetch.js';
import type { FetchOptions } from '../../../src/stage/fetch/fetch-job.js';
import { openTransports } from '../../../src/transport/registry.js';
import type { Transports } from '../../../src/transport/transport.js';
import { scratch } from '../../file/scratch.js';
import { allIn, endOf, gained, placedIn, roots, written } from '../items.js';

/* A transfer that was cut goes on where it was, and never mixes two versions of a file. */

const SIZE = 1_000_000;
const version = (letter: string): Buffer =>
  Buffer.from(Array.from({ length: SIZE }, (_, index) => letter.charCodeAt(0) + (index % 7)));
const first = version('a');
const second = version('k');
const tagOf = (data: Buffer): string => `"${createHash('md5').update(data).digest('hex')}"`;

interface Asked {
  readonly range: string | undefined;
  readonly condition: string | undefined;
}

let server: Server;
let transports: Transports;
let root = '';
let url = '';
let asked: Asked[] = [];
let answer: (request: IncomingMessage, response: ServerResponse, turn: number) => void;

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push({
      range: request.headers.range,
      condition: request.headers['if-range'] as string | undefined,
    });
    answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  transports = openTransports({
    limits: { timeout: 5000, connections: 4, tlsRigour: 'normal' },
    credentialOf: () => undefined,
    logger: silentLogger,
  });
  root = scratch();
});
afterEach(async () => {
  await transports.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const stage = (options: Partial<FetchOptions> = {}): ReturnType<typeof fetch> =>
  fetch(transports, roots(), {
    attempts: 3,
    inflight: undefined,
    onMismatch: 'retry',
    preserveMode: true,
    preserveTime: true,
    mode: undefined,
    directoryMode: undefined,
    flush: false,
    sizeMax: Number.POSITIVE_INFINITY,
    ...options,
  });

const item = (data: Buffer): Compared => ({
  ...placedIn(root, 'd/file', written('x', data, { baseUrl: url })),
  present: false,
});

/** Sends `data`, or the range that is asked for when the condition holds; `until` is where it is cut. */
function send(request: IncomingMessage, response: ServerResponse, data: Buffer, until = SIZE): void {
  const condition = request.headers['if-range'];
  const match = /^bytes=(\d+)-(\d+)$/u.exec(request.headers.range ?? '');
  const isPart = match !== null && (condition === undefined || condition === tagOf(data));
  const from = isPart ? Number(match[1]) : 0;
  const head = {
    'content-length': String(data.length - from),
    etag: tagOf(data),
    ...(isPart && { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` }),
  };
  response.writeHead(isPart ? 206 : 200, head);
  const body = data.subarray(from, until);
  if (until >= data.length) response.end(body);
  // What was written is on its way before the connection is.
  else response.write(body, () => setTimeout(() => response.destroy(), 20));
}

const installed = async (gain: Pick<Fetched, 'inflight'>): Promise<Buffer> => {
  await gain.inflight?.install();
  expect(allIn(root)).toEqual(['d', 'd/file']);
  return readFileSync(join(root, 'd/file'));
};

it('goes on behind the last byte that came, as long as the server says that the file is the same', async () => {
  answer = (request, response, turn) => send(request, response, first, turn * 400_000);
  const gain = await gained(stage(), item(first));
  expect((await installed(gain)).equals(first)).toBe(true);
  expect(gain.result).toMatchObject({ code: 201 });
  expect(asked[0]).toEqual({ range: undefined, condition: undefined });
  const starts = asked.slice(1).map(({ range }) => Number(/=(\d+)-999999$/u.exec(range ?? '')?.[1]));
  expect(starts).toHaveLength(2);
  const [once = 0, twice = 0] = starts;
  expect(once).toBeGreaterThan(0);
  expect(twice).toBeGreaterThan(once);
  expect(asked[2]?.condition).toBe(tagOf(first));
});

it('begins anew when the file has changed meanwhile', async () => {
  answer = (request, response, turn) =>
    turn === 1 ? send(request, response, first, 400_000) : send(request, response, second);
  const gain = await gained(stage(), item(second));
  expect((await installed(gain)).equals(second)).toBe(true);
  expect(asked).toHaveLength(2);
});

it('refuses a range of another version from a server that passes over the condition', async () => {
  answer = (request, response, turn) => {
    delete request.headers['if-range'];
    if (turn === 1) send(request, response, first, 400_000);
    else send(request, response, second);
  };
  expect(await endOf(stage({ attempts: 2 }), item(second))).toMatch(/^failed: .* has changed/u);
  expect(allIn(root)).toEqual(['d']);
});

it('begins anew when the server does not vouch for the file, and leaves nothing behind in the end', async () => {
  answer = (request, response) => {
    response.writeHead(200, { 'content-length': String(SIZE), etag: 'W/"weak"' });
    response.write(first.subarray(0, 400_000), () => setTimeout(() => response.destroy(), 20));
    void request;
  };
  expect(await endOf(stage({ attempts: 2 }), item(first))).toMatch(/^failed: /u);
  expect(asked.map(({ range }) => range)).toEqual([undefined, undefined]);
  expect(allIn(root)).toEqual(['d']);
});
