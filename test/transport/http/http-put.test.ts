import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/logger.js';
import { HostFailure } from '../../../src/transport/host-failure.js';
import { openTransports } from '../../../src/transport/registry.js';
import type { Credential, Session, Transports, Upload } from '../../../src/transport/transport.js';
import { Unsupported } from '../../../src/transport/unsupported.js';
import { startApache, type Apache } from '../../servers/apache.js';
import { startNginx, type Nginx } from '../../servers/nginx.js';
import { startOddUploadServer, type Asked, type OddUploadServer } from '../../servers/odd-upload-server.js';

const forever = new AbortController().signal;
const opened: Transports[] = [];

afterEach(async () => {
  for (const transports of opened.splice(0)) await transports.close();
});

type Writer = Session & Required<Pick<Session, 'put' | 'look' | 'makeDirectory' | 'remove' | 'rename'>>;

async function open(url: string, credential?: Credential, timeout = 2000): Promise<Writer> {
  const transports = openTransports({
    limits: { timeout, connections: 3, tlsRigour: 'normal' },
    credentialOf: () => credential,
    logger: silentLogger,
  });
  opened.push(transports);
  return (await transports.session(url, forever)) as Writer;
}

async function* pieces(data: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.byteLength; at += size) yield data.subarray(at, at + size);
}

const uploadOf = (path: string, data: Uint8Array, more: Partial<Upload> = {}): Upload => ({
  path,
  size: data.byteLength,
  data: pieces(data),
  ...more,
});

async function failure(work: Promise<unknown>): Promise<RetryableError | PermanentError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RetryableError || error instanceof PermanentError) return error;
  throw new Error(`expected a failure of the house, got ${String(error)}`);
}

describe('WebDAV, as Apache speaks it', () => {
  let apache: Apache;
  let session: Writer;

  beforeAll(async () => {
    apache = await startApache();
  });

  afterAll(() => apache.stop());

  const openApache = async (): Promise<Writer> =>
    open(apache.url, { user: apache.user, password: apache.password });

  it('puts a file under another name, and renames it', async () => {
    session = await openApache();
    const data = randomBytes(3_000_000);
    await session.put(uploadOf('a.bin', data, { inflight: 'a.bin.tmp' }), forever);
    expect((await readFile(join(apache.root, 'a.bin'))).equals(data)).toBe(true);
    const asked = async (): Promise<readonly string[]> =>
      (await apache.requests())
        .filter((line) => line.includes('/a.bin'))
        .map((line) => line.split(' ').slice(0, 3).join(' '))
        .sort();
    // Apache writes its log after its answer, and not always in the order of its answers.
    await expect.poll(asked).toEqual(['201 MOVE /a.bin.tmp', '201 PUT /a.bin.tmp']);
  });

  it('replaces what is there, without a name in between, too', async () => {
    session = await openApache();
    for (const inflight of [undefined, 'b.tmp']) {
      await writeFile(join(apache.root, 'b'), 'a longer text than the new one', { mode: 0o666 });
      await session.put(uploadOf('b', Buffer.from('new'), { inflight }), forever);
      expect(await readFile(join(apache.root, 'b'), 'utf8')).toBe('new');
    }
  });

  it('never puts a file in the place of a directory, with all that is in it', async () => {
    session = await openApache();
    await session.makeDirectory('full/of', undefined, forever);
    await session.put(uploadOf('full/of/things', Buffer.from('x')), forever);
    const error = await failure(
      session.put(uploadOf('full', Buffer.from('y'), { inflight: 'full.tmp' }), forever),
    );
    expect(error).toBeInstanceOf(PermanentError);
    expect(error.message).toContain('a directory of this name');
    expect(await readFile(join(apache.root, 'full/of/things'), 'utf8')).toBe('x');
    expect(await readdir(apache.root)).not.toContain('full.tmp');
  });

  it('removes an empty directory, and none that is not', async () => {
    session = await openApache();
    await session.makeDirectory('some/deep/place', undefined, forever);
    const error = await failure(session.remove('some', forever));
    expect(error.message).toContain('not empty');
    for (const path of ['some/deep/place', 'some/deep', 'some', 'some']) await session.remove(path, forever);
    expect(await session.look('some', forever)).toBeUndefined();
  });

  it('says whose mistake a wrong password is, and asks again after a while', async () => {
    const stranger = await open(apache.url, { user: apache.user, password: 'wrong-word' });
    const error = await failure(stranger.put(uploadOf('c', Buffer.from('x')), forever));
    expect(error).toBeInstanceOf(RetryableError);
    expect((error as RetryableError).notBefore?.getTime()).toBeGreaterThan(Date.now() + 60_000);
    expect(error.message).toContain('credentials.conf');
    expect(error.message).not.toContain('wrong-word');
  });

  it('says that the directory is missing', async () => {
    session = await openApache();
    const error = await failure(
      session.put(uploadOf('no/such', Buffer.from('x'), { inflight: 'no/x' }), forever),
    );
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toMatch(/409: the directory is not there/u);
  });

  it('leaves nothing of a file that is cut on its way', async () => {
    session = await openApache();
    const stop = new AbortController();
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield randomBytes(500_000);
      stop.abort();
      yield randomBytes(500_000);
    };
    const upload = { path: 'cut', inflight: 'cut.tmp', size: 1_000_000, data: data() };
    const error = await failure(session.put(upload, stop.signal));
    expect(error.message).toContain('stopped while sending');
    await expect
      .poll(async () => (await readdir(apache.root)).filter((name) => name.includes('cut')))
      .toEqual([]);
    expect((await readdir(apache.root)).filter((name) => name.startsWith('.davfs'))).toEqual([]);
  });
});

describe('nginx', () => {
  let dav: Nginx;
  let plain: Nginx;

  beforeAll(async () => {
    dav = await startNginx({ isWritable: true });
    plain = await startNginx({ onlyPuts: true });
  });

  afterAll(async () => {
    await dav.stop();
    await plain.stop();
  });

  it('takes files under their names, below directories that are made', async () => {
    const session = await open(dav.url);
    const data = randomBytes(2_000_000);
    await session.makeDirectory('x/y z', undefined, forever);
    await session.makeDirectory('x/y z', undefined, forever);
    await session.put(uploadOf('x/y z/ä', data, { inflight: 'x/y z/ä.tmp' }), forever);
    expect((await readFile(join(dav.root, 'x/y z/ä'))).equals(data)).toBe(true);
    expect(await session.look('x/y z/ä', forever)).toMatchObject({ kind: 'file', size: data.byteLength });
    expect(await session.look('x/y z', forever)).toMatchObject({ kind: 'directory' });
    expect(await session.look('x/other', forever)).toBeUndefined();
    await session.remove('x/y z/ä', forever);
    await session.remove('x/y z/ä', forever);
    expect(await readdir(join(dav.root, 'x/y z'))).toEqual([]);
  });

  it('that knows no directories makes them by itself', async () => {
    const session = await open(plain.url);
    await session.makeDirectory('1/2', undefined, forever);
    await session.put(uploadOf('1/2/3', Buffer.from('x')), forever);
    expect(await readFile(join(plain.root, '1/2/3'), 'utf8')).toBe('x');
  });

  it('shows nothing of a file before it is whole, and the old one until then', async () => {
    const session = await open(plain.url);
    await writeFile(join(plain.root, 'old'), 'old');
    let seen: string | undefined;
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(900_000);
      seen = await readFile(join(plain.root, 'old'), 'utf8');
      yield Buffer.alloc(100_000);
    };
    await session.put({ path: 'old', size: 1_000_000, data: data() }, forever);
    expect(seen).toBe('old');
    expect((await readFile(join(plain.root, 'old'))).byteLength).toBe(1_000_000);
  });

  it('takes a file of unknown length', async () => {
    const session = await open(plain.url);
    const data = randomBytes(300_000);
    await session.put({ path: 'unknown', size: undefined, data: pieces(data) }, forever);
    expect((await readFile(join(plain.root, 'unknown'))).equals(data)).toBe(true);
  });

  it('cannot rename where nobody knows whether it can', async () => {
    const session = await open(plain.url);
    expect(await failure(session.rename('a', 'b', forever))).toBeInstanceOf(Unsupported);
  });

  it('takes no blocks', async () => {
    const session = await open(plain.url);
    const error = await failure(session.put(uploadOf('block', Buffer.from('x'), { offset: 5 }), forever));
    expect(error).toBeInstanceOf(Unsupported);
  });

  it('with a certificate that nobody vouches for gets nothing', async () => {
    const secure = await startNginx({ onlyPuts: true, tls: true });
    try {
      const session = await open(secure.url, { bearerToken: 'token' });
      const error = await failure(session.put(uploadOf('x', Buffer.from('x')), forever));
      expect(error.message).toContain('tls_rigour');
    } finally {
      await secure.stop();
    }
  });

  it('says that a directory has the name', async () => {
    await mkdir(join(plain.root, 'directory'));
    const error = await failure(
      (await open(plain.url)).put(uploadOf('directory', Buffer.from('x')), forever),
    );
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toContain('a directory has this name');
  });
});

describe('an odd server', () => {
  let odd: OddUploadServer;
  let other: OddUploadServer;

  beforeAll(async () => {
    odd = await startOddUploadServer();
    other = await startOddUploadServer();
  });

  afterAll(async () => {
    await odd.stop();
    await other.stop();
  });

  it.each([
    [400, PermanentError, /server answered 400/u, 0],
    [401, RetryableError, /credentials\.conf/u, 240],
    [403, RetryableError, /rights on the server/u, 240],
    [404, RetryableError, /directory is not there/u, 0],
    [405, RetryableError, /takes no files at this address/u, 240],
    [409, RetryableError, /directory is not there/u, 0],
    [411, PermanentError, /length/u, 0],
    [413, RetryableError, /client_max_body_size/u, 240],
    [423, RetryableError, /locked/u, 0],
    [429, HostFailure, /too many requests/u, 0],
    [500, HostFailure, /try later/u, 0],
    [501, Unsupported, /does not know how/u, 0],
    [503, HostFailure, /try later/u, 0],
    [507, HostFailure, /no space left/u, 30],
  ])('that answers %i', async (status, Class, text, seconds) => {
    const session = await open(odd.url, { user: 'u', password: 'secret-word' });
    const error = await failure(session.put(uploadOf(`status-${status}/x`, randomBytes(10)), forever));
    expect(error).toBeInstanceOf(Class);
    expect(error.message).toMatch(text);
    expect(error.message).not.toContain('secret-word');
    if (seconds > 0) {
      expect((error as RetryableError).notBefore?.getTime()).toBeGreaterThan(Date.now() + seconds * 1000);
    }
  });

  it.each([429, 503, 507])('is believed when it says with %i when to come again', async (status) => {
    const session = await open(odd.url);
    const error = await failure(session.put(uploadOf(`status-${status}-600/x`, randomBytes(10)), forever));
    const wait = ((error as RetryableError).notBefore?.getTime() ?? 0) - Date.now();
    expect(wait).toBeGreaterThan(550_000);
    expect(wait).toBeLessThan(650_000);
  });

  it('that refuses in the middle of a large file is heard, and the rest is not read', async () => {
    const session = await open(odd.url);
    let taken = 0;
    let isLeft = false;
    const data = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          taken += 65536;
          yield Buffer.alloc(65536);
        }
      } finally {
        isLeft = true;
      }
    };
    const error = await failure(
      session.put({ path: 'takes-little/x', size: 2 ** 40, data: data() }, forever),
    );
    expect(error.message).toContain('client_max_body_size');
    await expect.poll(() => isLeft).toBe(true);
    expect(taken).toBeLessThan(64 * 2 ** 20);
  });

  it('that takes nothing is given up, and no more is read than fits in between', async () => {
    const session = await open(odd.url, undefined, 500);
    let taken = 0;
    let isLeft = false;
    const data = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          taken += 65536;
          yield Buffer.alloc(65536);
        }
      } finally {
        isLeft = true;
      }
    };
    const error = await failure(
      session.put({ path: 'takes-nothing/x', size: 2 ** 40, data: data() }, forever),
    );
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toContain('no byte for 0.5 s while sending');
    await expect.poll(() => isLeft).toBe(true);
    expect(taken).toBeLessThan(32 * 2 ** 20);
  });

  it('that says nothing in the end is given up', async () => {
    const session = await open(odd.url, undefined, 300);
    const error = await failure(session.put(uploadOf('silent/x', randomBytes(1000)), forever));
    expect(error.message).toContain('no byte for 0.3 s while sending');
  });

  it('is not blamed for a slow disk', async () => {
    const session = await open(odd.url, undefined, 300);
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('ab');
      await new Promise((resolve) => setTimeout(resolve, 700));
      yield Buffer.from('cd');
    };
    await session.put({ path: 'right/slow', size: 4, data: data() }, forever);
    expect(odd.requests.at(-1)?.body.toString()).toBe('abcd');
  });

  it('that cuts is not sent a second half for a first: the caller begins anew', async () => {
    const session = await open(odd.url);
    const before = odd.requests.length;
    expect(await failure(session.put(uploadOf('cuts/x', randomBytes(1_000_000)), forever))).toBeInstanceOf(
      HostFailure,
    );
    expect(odd.requests).toHaveLength(before + 1);
  });

  it.each([
    [3, 'fewer'],
    [5, 'more'],
  ])('gets no file of %i bytes for one of 4', async (bytes) => {
    const session = await open(odd.url);
    const upload = { ...uploadOf('right/x', Buffer.alloc(bytes)), size: 4 };
    const error = await failure(session.put(upload, forever));
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toMatch(/and not 4: it was changed/u);
  });

  it('is told an error of the disk by its name', async () => {
    const session = await open(odd.url);
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('ab');
      throw Object.assign(new Error('i/o error, read'), { code: 'EIO' });
    };
    const error = await failure(session.put({ path: 'right/x', size: 4, data: data() }, forever));
    expect(error.message).toContain('cannot send');
    expect(error.message).toContain('EIO');
  });

  it('is asked once what it can do', async () => {
    const session = await open(odd.url);
    const before = odd.asked();
    await Promise.all(
      [1, 2, 3, 4, 5].map((number) => session.put(uploadOf(`right/${number}`, randomBytes(10)), forever)),
    );
    expect(odd.asked()).toBe(before + 1);
  });

  it('is shown a token, and no time that it does not understand', async () => {
    const session = await open(odd.url, { bearerToken: 'the-token' });
    await session.put(uploadOf('right/x', randomBytes(10), { modified: new Date(), mode: 0o644 }), forever);
    const { headers } = odd.requests.at(-1) ?? {};
    expect(headers?.authorization).toBe('Bearer the-token');
    expect(headers?.['x-oc-mtime']).toBeUndefined();
    expect(headers?.['content-length']).toBe('10');
  });

  it('with a signed address is asked nothing else, and no message shows the signature', async () => {
    const session = await open(`${odd.url}right/bucket?X-Signature=abc%2Fdef`);
    const before = { asked: odd.asked(), requests: odd.requests.length };
    await session.makeDirectory('a', undefined, forever);
    await session.put(uploadOf('a/b', randomBytes(10), { inflight: 'a/.b' }), forever);
    expect(odd.requests.slice(before.requests).map(({ method, path }) => `${method} ${path}`)).toEqual([
      'PUT /right/bucket/a/b?X-Signature=abc%2Fdef',
    ]);
    expect(odd.asked()).toBe(before.asked);
    const refused = await open(`${odd.url}status-403/bucket?X-Signature=abc`);
    expect((await failure(refused.put(uploadOf('x', randomBytes(1)), forever))).message).not.toContain('abc');
  });

  it('that sends on with 307 gets what is at hand at the other place, and no password there', async () => {
    const session = await open(odd.url, { user: 'u', password: 'p' });
    const whole = [Buffer.from('all of it')];
    const path = `to-307/${encodeURIComponent(`${other.url}right/elsewhere`)}`;
    // The path is encoded once more on its way.
    const upload = uploadOf(decodeURIComponent(path), Buffer.concat(whole), { whole });
    await session.put(upload, forever);
    expect(other.requests.at(-1)).toMatchObject({ method: 'PUT', path: '/right/elsewhere' });
    expect(other.requests.at(-1)?.body.toString()).toBe('all of it');
    expect(other.requests.at(-1)?.headers.authorization).toBeUndefined();
  });

  it('that sends on when a part was taken, or with another status, is an error that names the remedy', async () => {
    const session = await open(odd.url);
    const taken = await failure(
      session.put(uploadOf(`to-307/${other.url}right/x`, randomBytes(1000)), forever),
    );
    expect(taken).toBeInstanceOf(RetryableError);
    expect(taken.message).toContain('name the address that it redirects to');
    const wrong = await failure(session.put(uploadOf('to-302/x', randomBytes(1000)), forever));
    expect(wrong).toBeInstanceOf(PermanentError);
  });
});

describe('a server of a kind that says more', () => {
  it('is sent times where it understands them', async () => {
    const cloud = await startOddUploadServer({ dav: '1, 3, extended-mkcol, nextcloud-checksum-update' });
    const session = await open(cloud.url);
    const modified = new Date('2026-01-02T03:04:05.678Z');
    await session.put(uploadOf('right/x', randomBytes(10), { inflight: 'right/x.tmp', modified }), forever);
    expect(cloud.requests.map(({ method }) => method)).toEqual(['PUT', 'MOVE']);
    expect(cloud.requests[0]?.headers['x-oc-mtime']).toBe('1767323045');
    await cloud.stop();
  });

  it('behind a proxy that ends TLS is told the place without the name', async () => {
    const answers = ({ method, headers }: Asked): number | undefined =>
      method === 'MOVE' && String(headers['destination']).startsWith('http') ? 502 : undefined;
    const hidden = await startOddUploadServer({ dav: '1', answers });
    const session = await open(hidden.url);
    await session.put(uploadOf('right/x', randomBytes(10), { inflight: 'right/x.tmp' }), forever);
    expect(hidden.requests.at(-1)?.headers['destination']).toBe('/right/x');
    await hidden.stop();
  });

  it('that cannot rename is left without the file under its other name', async () => {
    const full = await startOddUploadServer({
      dav: '1',
      answers: ({ method }) => (method === 'MOVE' ? 507 : undefined),
    });
    const session = await open(full.url);
    const error = await failure(
      session.put(uploadOf('right/x', randomBytes(10), { inflight: 'right/x.tmp' }), forever),
    );
    expect(error.message).toContain('no space left');
    expect(full.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'PUT /right/x.tmp',
      'MOVE /right/x.tmp',
      'DELETE /right/x.tmp',
    ]);
    await full.stop();
  });
});
