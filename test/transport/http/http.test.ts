import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/logger.js';
import { retrievalUrl } from '../../../src/transport/http/http-url.js';
import { openTransports } from '../../../src/transport/registry.js';
import type {
  ByteRange,
  Credential,
  Download,
  TransferLimits,
  Transports,
} from '../../../src/transport/transport.js';
import { rightBody, startOddServer, type OddServer } from '../../servers/odd-http-server.js';

const limits: TransferLimits = { timeout: 300, connections: 4, tlsRigour: 'normal' };
const forever = new AbortController().signal;

let odd: OddServer;
let other: OddServer;
let transports: Transports;

const open = (credential?: Credential): Transports =>
  openTransports({ limits, credentialOf: () => credential, logger: silentLogger });

beforeAll(async () => {
  odd = await startOddServer();
  other = await startOddServer();
  transports = open();
});

afterAll(async () => {
  await transports.close();
  await odd.stop();
  await other.stop();
});

async function get(path: string, range?: ByteRange, stop = forever, from = transports): Promise<Download> {
  const session = await from.session(odd.url, stop);
  return session.get(path, stop, range);
}

async function bytes(download: Download): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of download.data) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const fetchAll = async (path: string, range?: ByteRange): Promise<Buffer> => bytes(await get(path, range));

async function failure(work: Promise<unknown>): Promise<RetryableError | PermanentError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RetryableError || error instanceof PermanentError) return error;
  throw new Error(`expected a failure of the house, got ${String(error)}`);
}

describe('a well-behaved answer', () => {
  it('gives size and bytes', async () => {
    const download = await get('right/a');
    expect(download.size).toBe(100);
    expect(await bytes(download)).toEqual(rightBody);
  });

  it('of few bytes has come whole, one of many comes as it is read', async () => {
    const { whole } = await get('right/a');
    expect(Buffer.concat(whole ?? [])).toEqual(rightBody);
    const large = await get('stall-large/x');
    expect(large.whole).toBeUndefined();
    await large.data[Symbol.asyncIterator]().return?.();
  });

  it('is asked for without any encoding', async () => {
    await fetchAll('right/encoding');
    expect(odd.requests.at(-1)?.headers['accept-encoding']).toBe('identity');
  });

  it('sends names percent-encoded, once', async () => {
    await fetchAll('right/a b#c?d%20e/é');
    expect(odd.requests.at(-1)?.path).toBe('/right/a%20b%23c%3Fd%2520e/%C3%A9');
  });
});

describe('a broken body', () => {
  it.each(['short-body/x', 'reset-inside/x', 'stall-inside/x', 'stall-large/x'])(
    '%s is retryable',
    async (path) => {
      expect(await failure(fetchAll(path))).toBeInstanceOf(RetryableError);
    },
  );

  it('is noticed by the caller when the server told no length', async () => {
    const download = await get('short-chunked/x');
    expect(download.size).toBeUndefined();
    expect(await bytes(download)).toHaveLength(40);
  });

  it('never yields more than the server announced', async () => {
    const download = await get('long-body/x');
    expect(download.size).toBe(40);
    expect(await bytes(download)).toEqual(rightBody.subarray(0, 40));
  });

  it('without an end is left when the caller has enough, and its connection is closed', async () => {
    let taken = 0;
    for await (const chunk of (await get('endless/x')).data) {
      taken += chunk.byteLength;
      if (taken > 200_000) break;
    }
    expect(taken).toBeGreaterThan(200_000);
    await expect.poll(() => odd.requests.length > 0 && odd.connections()).toBeLessThan(5);
  });

  it('frees its connection when the caller never reads it and stops', async () => {
    const own = open();
    for (let number = 0; number < limits.connections * 2; number += 1) {
      const controller = new AbortController();
      await get('stall-large/x', undefined, controller.signal, own);
      controller.abort();
    }
    expect(await bytes(await get('right/x', undefined, forever, own))).toEqual(rightBody);
    await own.close();
  });
});

describe('time', () => {
  it('a server that never answers is cut', async () => {
    const error = await failure(get('stall-before/x'));
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toContain('no byte for 0.3 s');
  });

  it('a slow reader is not taken for a silent server', async () => {
    let total = 0;
    const download = await get('endless/x');
    for await (const chunk of download.data) {
      if (total === 0) await new Promise((resolve) => setTimeout(resolve, limits.timeout * 2));
      total += chunk.byteLength;
      if (total > 1_000_000) break;
    }
    expect(total).toBeGreaterThan(1_000_000);
  });

  it('waiting for a free connection is not a stall', async () => {
    const held = await Promise.all(Array.from({ length: limits.connections }, () => get('endless/x')));
    const waiting = fetchAll('right/after');
    await new Promise((resolve) => setTimeout(resolve, limits.timeout * 2));
    for (const download of held) await download.data[Symbol.asyncIterator]().return?.();
    expect(await waiting).toEqual(rightBody);
  });

  it('an abort ends the wait at once, before the answer and inside the body', async () => {
    const patient = openTransports({
      limits: { ...limits, timeout: 0 },
      credentialOf: () => undefined,
      logger: silentLogger,
    });
    for (const path of ['stall-before/x', 'stall-large/x']) {
      const controller = new AbortController();
      const work = get(path, undefined, controller.signal, patient).then(bytes);
      setTimeout(() => controller.abort(), 50);
      const error = await failure(work);
      expect(error.message).toContain('stopped');
    }
    await patient.close();
  });

  it('an abort ends the wait for a free connection', async () => {
    const held = await Promise.all(Array.from({ length: limits.connections }, () => get('endless/x')));
    const controller = new AbortController();
    const work = get('right/x', undefined, controller.signal);
    controller.abort();
    expect((await failure(work)).message).toContain('stopped');
    for (const download of held) await download.data[Symbol.asyncIterator]().return?.();
    expect(await fetchAll('right/x')).toEqual(rightBody);
  });
});

describe('status codes', () => {
  it.each([401, 403, 404, 429, 500, 503])('%i may work later', async (code) => {
    expect(await failure(get(`status-${code}/x`))).toBeInstanceOf(RetryableError);
  });

  it.each([400, 410, 204])('%i never works', async (code) => {
    const error = await failure(get(`status-${code}/x`));
    expect(error).toBeInstanceOf(PermanentError);
    expect(error).toHaveProperty('code', 499);
  });

  it('hands on when the server wants to be asked again', async () => {
    const error = await failure(get('status-503/x'));
    const seconds = ((error as RetryableError).notBefore?.getTime() ?? 0) - Date.now();
    expect(seconds / 1000).toBeGreaterThan(80);
    expect(seconds / 1000).toBeLessThan(91);
  });

  it('a refused login is not tried again within the pass', async () => {
    const error = (await failure(get('status-401/x'))) as RetryableError;
    expect(error.notBefore?.getTime()).toBeGreaterThan(Date.now() + 60_000);
    expect(error.message).toContain('credentials.conf');
  });

  it('a reset connection is retryable', async () => {
    expect(await failure(get('reset/x'))).toBeInstanceOf(RetryableError);
  });

  it.each([
    ['reset/x', 2, 'at once when nothing has come: the server may have closed a kept connection'],
    ['reset-inside/x', 1, 'by others when some of it has come'],
  ])('%s is asked for %i times: again %s', async (path, times) => {
    const before = odd.requests.length;
    await failure(fetchAll(path));
    expect(odd.requests.length - before).toBe(times);
  });

  it('something that is not HTTP, and headers without end, are retryable', async () => {
    expect(await failure(get('garbage/x'))).toBeInstanceOf(RetryableError);
    expect(await failure(get('big-headers/x'))).toBeInstanceOf(RetryableError);
  });

  it('keeps the connection after an error, so that the next file needs no new one', async () => {
    const own = openTransports({
      limits: { ...limits, connections: 1 },
      credentialOf: () => undefined,
      logger: silentLogger,
    });
    await failure(get('status-404/1', undefined, forever, own));
    const before = odd.accepted();
    for (let number = 0; number < 5; number += 1) await failure(get('status-404/2', undefined, forever, own));
    await bytes(await get('right/3', undefined, forever, own));
    expect(odd.accepted()).toBe(before);
    await own.close();
  });
});

describe('encodings', () => {
  it('refuses one that was not asked for', async () => {
    expect(await failure(get('gzip/x.txt'))).toBeInstanceOf(PermanentError);
  });

  it('takes the bytes as they are when the name itself says so', async () => {
    const data = await fetchAll('gzip/x.txt.gz');
    expect([...data.subarray(0, 2)]).toEqual([0x1f, 0x8b]);
  });
});

describe('byte ranges', () => {
  const range = { offset: 10, length: 10 };

  it('are cut out when the server ignores them', async () => {
    const download = await get('ignores-range/x', { offset: 15, length: 20 });
    expect(download.size).toBe(20);
    expect(await bytes(download)).toEqual(rightBody.subarray(15, 35));
  });

  it('are cut at the end of the file when the server ignores them', async () => {
    expect(await fetchAll('ignores-range/x', { offset: 95, length: 20 })).toEqual(rightBody.subarray(95));
  });

  it.each(['wrong-range/x', 'long-range/x', 'no-content-range/x', 'range-beyond/x'])(
    '%s is refused',
    async (path) => {
      expect(await failure(get(path, range))).toBeInstanceOf(RetryableError);
    },
  );

  it('a partial answer to a request for the whole is refused', async () => {
    expect(await failure(get('no-content-range/x'))).toBeInstanceOf(PermanentError);
  });

  it('of no bytes asks nobody', async () => {
    expect(await fetchAll('status-404/x', { offset: 3, length: 0 })).toHaveLength(0);
  });
});

describe('redirects', () => {
  const to = (url: string): string => `to/${encodeURIComponent(url)}`;
  /** The path is encoded once by us and decoded twice by the server's `to`. */
  const jump = async (url: string, credential?: Credential): Promise<Buffer> => {
    const own = open(credential);
    try {
      const session = await own.session(`${odd.url}${to(url)}`, forever);
      return await bytes(await session.get('', forever));
    } finally {
      await own.close();
    }
  };

  it('are followed five times and no more', async () => {
    expect(await fetchAll('hops/5')).toEqual(rightBody);
    expect(await failure(get('hops/6'))).toBeInstanceOf(RetryableError);
    const before = odd.requests.length;
    expect(await failure(get('loop/1'))).toBeInstanceOf(RetryableError);
    expect(odd.requests.length - before).toBe(6);
  });

  it.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'http://[/'])('to %s are refused', async (url) => {
    expect(await failure(jump(url))).toBeInstanceOf(PermanentError);
  });

  it('without a target are refused', async () => {
    expect(await failure(get('no-location/x'))).toBeInstanceOf(PermanentError);
  });

  it('carry credentials within the origin and never to another', async () => {
    const credential = { user: 'alice', password: 'pass:word' };
    const basic = `Basic ${Buffer.from('alice:pass:word').toString('base64')}`;
    await jump('/right/home', credential);
    expect(odd.requests.at(-1)?.headers.authorization).toBe(basic);
    await jump(`${other.url}right/away`, credential);
    expect(odd.requests.at(-1)?.headers.authorization).toBe(basic);
    expect(other.requests.at(-1)?.path).toContain('/right/away');
    expect(other.requests.at(-1)?.headers.authorization).toBeUndefined();
  });

  it('do not carry credentials back home after a detour', async () => {
    await jump(`${other.url}to/${encodeURIComponent(`${odd.url}right/back`)}`, { bearerToken: 'secret' });
    expect(odd.requests.at(-1)?.path).toContain('/right/back');
    expect(odd.requests.at(-1)?.headers.authorization).toBeUndefined();
  });
});

describe('secrets', () => {
  it('a bearer token is sent as such', async () => {
    const own = open({ bearerToken: 'token', user: 'alice', password: 'x' });
    await bytes(await get('right/x', undefined, forever, own));
    expect(odd.requests.at(-1)?.headers.authorization).toBe('Bearer token');
    await own.close();
  });

  it('never appear in an error message', async () => {
    const own = open({ user: 'alice', password: 'hunter2', bearerToken: 'hunter3' });
    const base = odd.url.replace('//', '//alice:hunter2@');
    for (const path of ['status-401/x', 'reset/x', 'stall-before/x', 'short-body/x', 'loop/1']) {
      const session = await own.session(base, forever);
      const error = await failure(session.get(path, forever).then(bytes));
      expect(`${error.message} ${String(error.cause)}`).not.toMatch(/hunter/u);
    }
    await own.close();
  });
});

describe('retrievalUrl', () => {
  it.each([
    ['http://h/', '/a/b', 'http://h/a/b'],
    ['http://h', 'a/b', 'http://h/a/b'],
    ['http://h///', '///a', 'http://h/a'],
    ['http://h/root/', 'a b', 'http://h/root/a%20b'],
    ['http://user@h:8080/', 'a', 'http://h:8080/a'],
    ['http://h/', '%2e%2e/x', 'http://h/%252e%252e/x'],
    ['http://h/', 'a/./b', 'http://h/a/b'],
    ['http://h/', 'a\\..\\b', 'http://h/a%5C..%5Cb'],
  ])('%s and %s give %s', (base, path, url) => {
    expect(retrievalUrl(base, path).href).toBe(url);
  });

  it.each(['../x', 'a/../../b', '/..', '\ud800', 'a\0b'])('refuses %j', (path) => {
    expect(() => retrievalUrl('http://h/root/', path)).toThrow(PermanentError);
  });
});
