import { mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elementsOf, pieceOf, startFileServer } from '../../src/quickstart/file-server.js';
import type { FileServer } from '../../src/quickstart/file-server.js';

let scratch: string;
let server: FileServer;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'file server-'));
  const root = join(scratch, 'root');
  await mkdir(join(root, 'deep/er'), { recursive: true });
  await mkdir(join(root, '.htdir'));
  await mkdir(join(scratch, 'root-beside'));
  await writeFile(join(root, 'digits'), '0123456789');
  await utimes(join(root, 'digits'), 1_700_000_000, 1_700_000_000);
  await writeFile(join(root, 'empty'), '');
  await writeFile(join(root, 'deep/er/a name #1 été'), 'found');
  await writeFile(join(root, '.htaccess'), 'secret');
  await writeFile(join(root, '.htdir/x'), 'secret');
  await writeFile(join(root, 'large'), Buffer.alloc(64 * 1024 * 1024));
  await writeFile(join(scratch, 'outside'), 'secret');
  await writeFile(join(scratch, 'root-beside/x'), 'secret');
  await symlink('../outside', join(root, 'out'));
  await symlink('../root-beside/x', join(root, 'beside'));
  await symlink('..', join(root, 'up'));
  await symlink('digits', join(root, 'in'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
  server = await startFileServer(root);
});

afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

interface Answer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Sends the path as it is; `fetch` would tidy it up. */
const get = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    request({ hostname, port, path, method, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        resolve({
          code: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString(),
        });
      });
    })
      .on('error', reject)
      .end();
  });

describe('a file server', () => {
  it('sends a file with its length and time', async () => {
    const { code, headers, body } = await get('/digits');
    expect({ code, body }).toEqual({ code: 200, body: '0123456789' });
    expect(headers['content-length']).toBe('10');
    expect(headers['last-modified']).toBe('Tue, 14 Nov 2023 22:13:20 GMT');
  });

  it('finds encoded names, and ignores a query', async () => {
    expect((await get('/deep/er/a%20name%20%231%20%C3%A9t%C3%A9?x=1')).body).toBe('found');
    expect((await get('//deep/./er//a%20name%20%231%20%C3%A9t%C3%A9')).body).toBe('found');
  });

  it('sends an empty file, and only the head when asked', async () => {
    expect(await get('/empty')).toMatchObject({ code: 200, body: '' });
    const head = await get('/digits', {}, 'HEAD');
    expect(head).toMatchObject({ code: 200, body: '' });
    expect(head.headers['content-length']).toBe('10');
  });

  it.each([
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-2', '89', 'bytes 8-9/10'],
    ['bytes=-99', '0123456789', 'bytes 0-9/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
  ])('sends the range %s', async (range, body, contentRange) => {
    const answer = await get('/digits', { range });
    expect(answer).toMatchObject({ code: 206, body });
    expect(answer.headers['content-range']).toBe(contentRange);
  });

  it('refuses a range behind the end, and tells the size', async () => {
    const answer = await get('/digits', { range: 'bytes=10-' });
    expect(answer.code).toBe(416);
    expect(answer.headers['content-range']).toBe('bytes */10');
  });

  it.each(['bytes=1-2,4-5', 'bytes=4-1', 'lines=1-2', 'bytes=-'])(
    'sends everything for %s',
    async (range) => {
      expect(await get('/digits', { range })).toMatchObject({ code: 200, body: '0123456789' });
    },
  );

  it('sends a range only of the version it was asked for', async () => {
    const same = await get('/digits', { range: 'bytes=2-4', 'if-range': 'Tue, 14 Nov 2023 22:13:20 GMT' });
    const other = await get('/digits', { range: 'bytes=2-4', 'if-range': 'Tue, 14 Nov 2023 22:13:21 GMT' });
    expect([same.body, other.body]).toEqual(['234', '0123456789']);
  });

  it.each([
    '/../outside',
    '/deep/../../outside',
    '/%2e%2e/outside',
    '/deep/..%2f..%2foutside',
    '/.htaccess',
    '/.HTACCESS',
    '/.htdir/x',
    '/out',
    '/beside',
    '/up/outside',
  ])('refuses %s', async (path) => {
    expect(await get(path)).toMatchObject({ code: 403, body: '' });
  });

  it.each(['/', '/deep', '/none', '/digits/x', '/pipe', '/up/root/none'])('has no file %s', async (path) => {
    expect(await get(path)).toMatchObject({ code: 404, body: '' });
  });

  it('follows a link that stays inside', async () => {
    expect((await get('/in')).body).toBe('0123456789');
  });

  it.each(['/%', '/%ff', '/a%00b'])('calls %s a bad request', async (path) => {
    expect((await get(path)).code).toBe(400);
  });

  it('only reads', async () => {
    for (const method of ['PUT', 'POST', 'DELETE']) expect((await get('/digits', {}, method)).code).toBe(405);
  });

  it('breaks the connection when a file becomes shorter on the way', async () => {
    const path = join(scratch, 'root/shrinking');
    await writeFile(path, Buffer.alloc(32 * 1024 * 1024));
    const outcome = await new Promise<string>((resolve) => {
      request(new URL('shrinking', server.url), (response) => {
        void truncate(path, 1024).then(() => response.resume());
        response.on('end', () => {
          resolve('whole');
        });
        response.on('error', () => {
          resolve('broken');
        });
      }).end();
    });
    expect(outcome).toBe('broken');
  });

  it('survives clients that go away', async () => {
    for (let round = 0; round < 5; round += 1)
      await new Promise<void>((resolve) => {
        const call = request(new URL('large', server.url), (response) => {
          response.once('data', () => {
            call.destroy();
            resolve();
          });
        });
        call.on('error', () => undefined).end();
      });
    expect((await get('/digits')).body).toBe('0123456789');
  });
});

describe('what is asked for', () => {
  it('is looked at element by element', () => {
    expect(elementsOf('/a/b%20c')).toEqual(['a', 'b c']);
    expect(elementsOf('http://elsewhere/a')).toEqual({ code: 400 });
    expect(elementsOf('/..%00')).toEqual({ code: 400 });
    expect(elementsOf('/..a/b..')).toEqual(['..a', 'b..']);
  });

  it('has no range of an empty file', () => {
    expect(pieceOf('bytes=0-0', 0)).toMatchObject({ code: 416 });
    expect(pieceOf('bytes=-1', 0)).toMatchObject({ code: 416 });
    expect(pieceOf(undefined, 0)).toBeUndefined();
  });
});
