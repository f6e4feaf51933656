import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import { openTransports } from '../../src/transport/registry.js';
import type { ByteRange, Transports } from '../../src/transport/transport.js';

/* A server that sends whatever bytes it likes: the announced bytes come, or an error of the house, and soon. */

let server: Server;
let answer: Buffer = Buffer.alloc(0);
let transports: Transports;
const sockets = new Set<Socket>();
const forever = new AbortController().signal;

beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  transports = openTransports({
    limits: { timeout: 3000, connections: 4, tlsRigour: 'normal' },
    credentialOf: () => ({ user: 'ann', password: 'secret-word' }),
    logger: silentLogger,
  });
});

afterAll(async () => {
  await transports.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

type Ended = { readonly bytes: Buffer; readonly size: number | undefined } | { readonly error: unknown };

async function ask(sent: Buffer, range?: ByteRange): Promise<Ended> {
  answer = sent;
  try {
    const session = await transports.session(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      forever,
    );
    const { size, data } = await session.get('file', forever, range);
    const chunks: Uint8Array[] = [];
    for await (const chunk of data) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), size };
  } catch (error) {
    return { error };
  }
}

async function endsWell(sent: Buffer, range?: ByteRange): Promise<Ended> {
  const ended = await ask(sent, range);
  if ('error' in ended) {
    const { error } = ended;
    expect(error instanceof RetryableError || error instanceof PermanentError, String(error)).toBe(true);
    expect((error as Error).message).not.toContain('secret-word');
    expect((error as Error).message.length).toBeLessThan(2000);
  } else {
    if (ended.size !== undefined) expect(ended.bytes.length).toBe(ended.size);
    if (range !== undefined) expect(ended.bytes.length).toBeLessThanOrEqual(range.length);
  }
  return ended;
}

const odd = fc.oneof(
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1e9',
    '+5',
    '0x10',
    '5, 5',
    '99999999999999999999',
    'NaN',
    '5;',
    'bytes',
    'gzip',
  ),
  fc.constantFrom(
    'bytes 0-4/5',
    'bytes 5-0/5',
    'bytes 0-/5',
    'bytes */*',
    'bytes 0-99999999999999999/5',
    'chunked',
  ),
  fc.constantFrom(
    'Thu, 32 Foo 99999 25:61:61 GMT',
    'http://[::1',
    '//',
    '/%',
    'javascript:x',
    'http://a:b@127.0.0.1:1/',
  ),
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 50 }),
);
const header = fc.tuple(
  fc.constantFrom(
    'Content-Length',
    'Content-Range',
    'Content-Encoding',
    'Transfer-Encoding',
    'Last-Modified',
    'Retry-After',
    'Location',
    'Connection',
    'Keep-Alive',
    'Trailer',
    '__proto__',
    'constructor',
  ),
  odd,
);
const response = fc
  .record({
    status: fc.oneof(
      fc.constantFrom(200, 206, 301, 302, 307, 416, 429, 503),
      fc.integer({ min: 0, max: 1200 }),
    ),
    headers: fc.array(header, { maxLength: 6 }),
    body: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ status, headers, body }) => {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} X\r\n${lines}\r\n`, 'latin1'), body]);
  });
const byteRange = fc.option(
  fc.record({ offset: fc.integer({ min: 0, max: 10 }), length: fc.integer({ min: 1, max: 10 }) }),
  { nil: undefined },
);

const stored = new URL('../fixtures/hostile/answers/', import.meta.url);

it.each(readdirSync(stored))('%s', async (name) => {
  const sent = readFileSync(new URL(name, stored));
  await endsWell(sent);
  await endsWell(sent, { offset: 2, length: 3 });
});

it('odd headers', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(response, byteRange, async (sent, range) => {
      await endsWell(sent, range);
    }),
    { numRuns: process.env['SR_LONG'] === undefined ? 150 : 5000 },
  );
});

it('odd bytes', { timeout: 60_000 }, async () => {
  const bytes = fc.uint8Array({ maxLength: 400 }).map((data) => Buffer.from(data));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('', 'HTTP/1.1 200 OK\r\n'), bytes, async (head, data) => {
      await endsWell(Buffer.concat([Buffer.from(head), data]));
    }),
    { numRuns: process.env['SR_LONG'] === undefined ? 100 : 5000 },
  );
});

const gzipped = gzipSync(Buffer.alloc(1_000_000));
const page = (headers: string, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nConnection: close\r\n${headers}\r\n`), body]);

it('nothing is ever unpacked', async () => {
  const plain = await endsWell(page(`Content-Length: ${gzipped.length}\r\n`, gzipped));
  expect(plain).toEqual({ bytes: gzipped, size: gzipped.length });
  for (const encoding of ['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'GZIP']) {
    const ended = await endsWell(
      page(`Content-Encoding: ${encoding}\r\nContent-Length: ${gzipped.length}\r\n`, gzipped),
    );
    expect(ended).toMatchObject({ error: expect.any(PermanentError) as unknown });
  }
  // Of transfers, too, only the pieces are put together.
  const packed = await endsWell(
    page('Transfer-Encoding: gzip, chunked\r\n', Buffer.from('1\r\nx\r\n0\r\n\r\n')),
  );
  if ('bytes' in packed) expect(packed.bytes.toString()).toBe('x');
});

it('headers without number or end', async () => {
  const many = Array.from({ length: 5000 }, (_, number) => `x-${number}: y\r\n`).join('');
  const long = `x: ${'y'.repeat(40_000)}\r\n`;
  for (const headers of [many, long])
    expect(await endsWell(page(headers, Buffer.alloc(0)))).toMatchObject({
      error: expect.any(RetryableError) as unknown,
    });
});
