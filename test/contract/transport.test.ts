import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import { openTransports, type TransportOptions } from '../../src/transport/registry.js';
import type { Credential, Download, Transports } from '../../src/transport/transport.js';
import { startFtpd, type FtpdOptions } from '../servers/ftpd.js';
import { startNginx, type Nginx } from '../servers/nginx.js';
import { startSshd } from '../servers/sshd.js';

/** What every transport is run against: a server with a directory that the test may fill. */
interface Setting {
  readonly baseUrl: string;
  /** Directory on this machine that holds the served files. */
  readonly root: string;
  /** What stands before a file's name in the path that is asked for. */
  readonly prefix: string;
  readonly credential?: Credential;
  readonly options?: Partial<TransportOptions>;
  readonly stop: () => Promise<void>;
}

let nginx: Nginx;

const settings: Readonly<Record<string, () => Promise<Setting>>> = {
  'http from nginx': async () => {
    nginx = await startNginx();
    return { baseUrl: nginx.url, root: nginx.root, prefix: '', stop: nginx.stop };
  },
  'sftp from OpenSSH': async () => {
    const { url, root, home, stop } = await startSshd();
    return { baseUrl: url, root, prefix: `${root}/`, options: { ssh: { home } }, stop };
  },
  'sftp from OpenSSH, below the path of the URL, one request at a time': async () => {
    const { url, root, home, stop } = await startSshd();
    return {
      baseUrl: `${url.slice(0, -1)}${root}/`,
      root,
      prefix: '',
      options: { ssh: { home, requests: 1 } },
      stop,
    };
  },
  file: async () => {
    const root = await mkdtemp(join(tmpdir(), 'sarracenia-file-'));
    return { baseUrl: 'file:', root, prefix: `${root}/`, stop: () => rm(root, { recursive: true }) };
  },
  ftp: () => fromFtpd({}),
  'ftp, active': () => fromFtpd({ credential: { passive: false } }),
  'ftp with TLS': () => fromFtpd({ tls: 'explicit' }),
  'ftp with TLS, active': () => fromFtpd({ tls: 'explicit', credential: { passive: false } }),
  'ftp with TLS from the first byte': () => fromFtpd({ tls: 'implicit' }),
};

const fromFtpd = async (options: FtpdOptions): Promise<Setting> => {
  const { url, root, credential, stop } = await startFtpd(options);
  return { baseUrl: url, root, prefix: '', credential, stop };
};

const forever = new AbortController().signal;

async function bytes(download: Download): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of download.data) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe.each(Object.keys(settings))('%s', (name) => {
  let setting: Setting;
  let transports: Transports;

  beforeAll(async () => {
    setting = (await settings[name]?.()) as Setting;
    transports = openTransports({
      limits: { timeout: 2000, connections: 3, tlsRigour: 'lax' },
      credentialOf: () => setting.credential,
      logger: silentLogger,
      ...setting.options,
    });
  });

  afterAll(async () => {
    await transports.close();
    await setting.stop();
  });

  const put = async (path: string, data: Uint8Array): Promise<void> => {
    await mkdir(dirname(join(setting.root, path)), { recursive: true });
    await writeFile(join(setting.root, path), data);
  };
  const get = async (
    path: string,
    range?: { offset: number; length: number },
    stop = forever,
  ): Promise<Download> => {
    const session = await transports.session(setting.baseUrl, stop);
    try {
      return await session.get(setting.prefix + path, stop, range);
    } finally {
      await session.close();
    }
  };

  it.each([0, 1, 1024, 65536, 65537, 5 * 1024 * 1024])('gives a file of %i bytes whole', async (size) => {
    const data = randomBytes(size);
    await put('whole', data);
    const download = await get('whole');
    expect(download.size).toBe(size);
    expect((await bytes(download)).equals(data)).toBe(true);
  });

  it('says when the file was modified', async () => {
    await put('dated', Buffer.from('x'));
    const download = await get('dated');
    await bytes(download);
    expect(Math.abs((download.modified?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it.each([
    [0, 1],
    [0, 1024],
    [100, 200_000],
    [299_999, 1],
    [0, 300_000],
  ])('gives bytes from %i, %i of them', async (offset, length) => {
    const data = randomBytes(300_000);
    await put('ranged', data);
    const download = await get('ranged', { offset, length });
    expect(download.size).toBe(length);
    expect((await bytes(download)).equals(data.subarray(offset, offset + length))).toBe(true);
  });

  it('gives what there is of a range that crosses the end', async () => {
    await put('short', Buffer.from('0123456789'));
    const download = await get('short', { offset: 8, length: 10 });
    expect(download.size).toBe(2);
    expect((await bytes(download)).toString()).toBe('89');
  });

  it.each([
    'with space',
    'per%cent',
    'per%20cent',
    'has#hash',
    'has?question',
    'plus+amp&semi;',
    "quote'",
    'ünïcödé/日本',
    'a\\b',
    '-dash',
    '.hidden',
    'a:b',
    '[x]{y}',
  ])('finds %j', async (path) => {
    await put(path, Buffer.from(path));
    expect((await bytes(await get(path))).toString()).toBe(path);
  });

  it('says that a missing file may come', async () => {
    await expect(get('missing')).rejects.toBeInstanceOf(RetryableError);
  });

  it('refuses a path that climbs', async () => {
    await expect(get('../../etc/passwd')).rejects.toBeInstanceOf(PermanentError);
  });

  it('can be left early, again and again', async () => {
    await put('large', randomBytes(5 * 1024 * 1024));
    for (let number = 0; number < 10; number += 1) {
      for await (const chunk of (await get('large')).data) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
    }
    expect((await bytes(await get('large', { offset: 5, length: 7 }))).byteLength).toBe(7);
  });

  it('ends with an error when stopped in the middle', async () => {
    await put('large', randomBytes(5 * 1024 * 1024));
    const controller = new AbortController();
    const download = await get('large', undefined, controller.signal);
    const read = async (): Promise<void> => {
      for await (const chunk of download.data) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        controller.abort();
      }
    };
    await expect(read()).rejects.toBeInstanceOf(RetryableError);
  });

  it('does many at once', async () => {
    const all = Array.from({ length: 40 }, (_, number) => ({
      path: `many/${number}`,
      data: randomBytes(100_000),
    }));
    await Promise.all(all.map(({ path, data }) => put(path, data)));
    const got = await Promise.all(all.map(async ({ path }) => bytes(await get(path))));
    expect(got.every((data, number) => data.equals(all[number]?.data ?? Buffer.alloc(0)))).toBe(true);
  });

  it('names a local path only when there is one', async () => {
    const session = await transports.session(setting.baseUrl, forever);
    const local = session.localPath?.(`${setting.prefix}some/file`);
    expect(local).toBe(name === 'file' ? join(setting.root, 'some/file') : undefined);
    await session.close();
  });
});

describe('connections to nginx', () => {
  let server: Nginx;
  let transports: Transports;

  beforeAll(async () => {
    server = await startNginx();
    transports = openTransports({
      limits: { timeout: 1000, connections: 2, tlsRigour: 'normal' },
      credentialOf: () => undefined,
      logger: silentLogger,
    });
  });

  afterAll(async () => {
    await transports.close();
    await server.stop();
  });

  it('are kept and used again', async () => {
    await writeFile(join(server.root, 'kept'), 'x');
    for (let number = 0; number < 30; number += 1) {
      const session = await transports.session(server.url, forever);
      await bytes(await session.get('kept', forever));
      await session.close();
    }
    const seen = (await server.requests()).filter(({ line }) => line.includes('/kept'));
    expect(seen).toHaveLength(30);
    expect(new Set(seen.map(({ connection }) => connection)).size).toBeLessThanOrEqual(2);
  });

  it('are cut when nginx sends nothing for the time allowed', async () => {
    await mkdir(join(server.root, 'slow'), { recursive: true });
    await writeFile(join(server.root, 'slow/file'), randomBytes(2_000_000));
    const session = await transports.session(server.url, forever);
    const read = async (): Promise<Buffer> => bytes(await session.get('slow/file', forever));
    await expect(read()).rejects.toThrow(/no byte for 1 s/u);
    await session.close();
  });
});
