import { linkSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Compared } from '../../../src/flow/item.js';
import { silentLogger } from '../../../src/logger.js';
import type { Announcement } from '../../../src/message/announcement.js';
import { wholeFile } from '../../../src/message/parts.js';
import type { Sum } from '../../../src/message/sum.js';
import { fetch } from '../../../src/stage/fetch/fetch.js';
import type { FetchOptions } from '../../../src/stage/fetch/fetch-job.js';
import { openTransports } from '../../../src/transport/registry.js';
import type { Transports } from '../../../src/transport/transport.js';
import { scratch } from '../../file/scratch.js';
import { type OddServer, rightBody, startOddServer } from '../../servers/odd-http-server.js';
import {
  allIn,
  changed,
  endOf,
  gained,
  md5,
  placedIn,
  retried,
  roots,
  targetIn,
  through,
  written,
} from '../items.js';
import { announcement } from '../placing.js';

let server: OddServer;
let transports: Transports;
let root = '';

beforeEach(async () => {
  server = await startOddServer();
  transports = openTransports({
    limits: { timeout: 5000, connections: 4, tlsRigour: 'normal' },
    credentialOf: () => undefined,
    logger: silentLogger,
  });
  root = scratch();
});
afterEach(async () => {
  await transports.close();
  await server.stop();
});

const stage = (options: Partial<FetchOptions> = {}): ReturnType<typeof fetch> =>
  fetch(transports, roots(), {
    attempts: 1,
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

/** 100 bytes as the server sends them when it is well. */
const of = (relPath: string, more: Partial<Announcement> = {}): Announcement =>
  written(relPath, rightBody, { baseUrl: server.url, ...more });

const item = (subject: Announcement, more: Partial<Compared> = {}): Compared => ({
  ...placedIn(root, 'd/file', subject, more),
  present: false,
  ...more,
});

const wrongSum: Sum = { algorithm: 'd', value: md5('something else') };
const misannounced = (relPath: string, more: Partial<Announcement> = {}): Announcement =>
  of(relPath, { change: { kind: 'write', parts: wholeFile(100), sum: wrongSum }, ...more });

describe('fetch over http', () => {
  it('leaves the verified bytes under a private name, with the announced mode and time', async () => {
    const headers = new Map([
      ['mode', '640'],
      ['mtime', '20160115123456.25'],
    ]);
    const gain = await gained(stage(), item(of('right/x', { headers })));
    expect(gain).toMatchObject({ bytes: 100, result: { code: 201, text: 'Downloaded' } });
    expect(gain.sum).toEqual({ algorithm: 'd', value: md5(rightBody) });
    expect(allIn(root)).toEqual(['d', 'd/.file.inflight']);
    await gain.inflight?.install();
    expect(readFileSync(join(root, 'd/file'))).toEqual(rightBody);
    expect(statSync(join(root, 'd/file')).mode & 0o777).toBe(0o640);
    expect(statSync(join(root, 'd/file')).mtime.toISOString()).toBe('2016-01-15T12:34:56.250Z');
    expect(allIn(root)).toEqual(['d', 'd/file']);
  });

  it.each([
    ['short-body/x', /failed: .*/],
    ['short-chunked/x', /failed: .*40 bytes where 100 were announced/],
    ['long-body/x', /failed: .*40 bytes where 100 were announced/],
    ['endless/x', /failed: .* where 100 were announced/],
    ['status-404/x', /failed: /],
    ['status-500/x', /failed: /],
    ['reset/x', /failed: /],
    ['wrong-data/x', /refused 499: .*its sum is d,/],
  ])('%s: fails and leaves nothing behind', async (relPath, end) => {
    expect(await endOf(stage(), item(of(relPath)))).toMatch(end);
    expect(allIn(root).filter((name) => name !== 'd')).toEqual([]);
  });

  it('takes a file of unknown size whole', async () => {
    const subject = of('right/x', { change: { kind: 'write', parts: undefined, sum: undefined } });
    const gain = await gained(stage(), item(subject));
    expect(gain.bytes).toBe(100);
    expect(gain.next?.change).toMatchObject({ parts: wholeFile(100) });
  });

  it('frees the connection when the target cannot be written', async () => {
    writeFileSync(join(root, 'd'), 'a file where a directory is needed');
    for (let round = 0; round < 12; round += 1)
      expect(
        await endOf(
          stage(),
          item(of('endless/x', { change: { kind: 'write', parts: undefined, sum: undefined } })),
        ),
      ).toMatch(/^failed/);
    // All four connections would be lost by now.
    expect(await endOf(stage(), item(of('right/x')))).toMatch(/^failed: .*d/);
    expect(server.requests).toHaveLength(13);
  });

  it('tries again as often as it may, and only once for what comes from the retry list', async () => {
    expect(await endOf(stage({ attempts: 3 }), item(of('status-500/x')))).toMatch(/^failed/);
    expect(server.requests).toHaveLength(3);
    await endOf(stage({ attempts: 3 }), item(of('status-500/x'), { retry: retried(), repeated: true }));
    expect(server.requests).toHaveLength(4);
  }, 20_000);

  it('gives up when stopped, and leaves nothing behind', async () => {
    const stop = new AbortController();
    const ending = endOf(stage({ attempts: 5 }), item(of('stall-inside/x')), stop.signal);
    await expect.poll(() => server.requests.length).toBe(1);
    stop.abort();
    expect(await ending).toBe('handed back');
    expect(allIn(root).filter((name) => name !== 'd')).toEqual([]);
  });
});

describe('fetch and a sum that is not the announced one', () => {
  it('refuses after all attempts: what is not newer is damaged', async () => {
    expect(await endOf(stage({ attempts: 2 }), item(misannounced('right/x')))).toMatch(/^refused 499: /);
    expect(server.requests).toHaveLength(2);
    expect(allIn(root).filter((name) => name !== 'd')).toEqual([]);
  });

  it('refuses at once where that is asked for', async () => {
    expect(await endOf(stage({ attempts: 3, onMismatch: 'reject' }), item(misannounced('right/x')))).toMatch(
      /^refused 499/,
    );
    expect(server.requests).toHaveLength(1);
  });

  it.each(['retry', 'accept', 'reject'] as const)(
    'refuses from the exchange of a user with %s',
    async (onMismatch) => {
      expect(
        await endOf(
          stage({ attempts: 3, onMismatch }),
          item(misannounced('right/x'), { exchange: 'xs_alice' }),
        ),
      ).toMatch(/^refused 499/);
      expect(server.requests).toHaveLength(1);
    },
  );

  it('accepts as 203 where that is asked for, and announces the sum of what came', async () => {
    const gain = await gained(stage({ onMismatch: 'accept' }), item(misannounced('right/x')));
    expect(gain.result.code).toBe(203);
    expect(gain.next?.change).toMatchObject({ sum: { algorithm: 'd', value: md5(rightBody) } });
  });

  it('accepts a file that was written again after it was announced', async () => {
    const source = join(scratch(), 'f');
    writeFileSync(source, rightBody);
    const headers = new Map([['mtime', '20160115123456.250']]);
    const subject = misannounced(source, { baseUrl: 'file:', headers });
    expect((await gained(stage(), item(subject))).result.code).toBe(203);
    expect(await endOf(stage(), item(subject, { exchange: 'xs_alice' }))).toMatch(/^refused/);
  });

  it('computes what z asks for', async () => {
    const change = { kind: 'write' as const, parts: wholeFile(100), sum: { algorithm: 'z', value: 'd' } };
    const gain = await gained(stage(), item(of('right/x', { change })));
    expect(gain.result.code).toBe(203);
    expect(gain.sum).toEqual({ algorithm: 'd', value: md5(rightBody) });
  });

  it('has nothing to compare with for a sum of the name', async () => {
    const sum = { algorithm: 'n', value: md5('x') };
    const change = { kind: 'write' as const, parts: wholeFile(100), sum };
    const gain = await gained(stage(), item(of('wrong-data/x', { change })));
    expect(gain).toMatchObject({ sum, result: { code: 201 } });
  });
});

describe('fetch of files of this machine', () => {
  const local = (data: string, announced = data): Announcement => {
    const source = join(scratch(), 'source');
    writeFileSync(source, data);
    return written(source, announced, { baseUrl: 'file:' });
  };

  it('links instead of copying', async () => {
    const subject = local('content');
    const gain = await gained(stage(), item(subject));
    expect(gain).toMatchObject({ bytes: 7, result: { code: 201, text: 'Linked' } });
    await gain.inflight?.install();
    expect(statSync(join(root, 'd/file')).ino).toBe(statSync(subject.relPath).ino);
  });

  it.each([
    ['another length', 'longer content', /^failed: .*7 bytes where 14 were announced/],
    ['another sum', 'CONTENT', /^refused 499/],
  ])('refuses %s and leaves source and tree alone', async (_what, announced, end) => {
    const subject = local('content', announced);
    expect(await endOf(stage(), item(subject))).toMatch(end);
    expect(readFileSync(subject.relPath, 'utf8')).toBe('content');
    expect(statSync(subject.relPath).nlink).toBe(1);
    expect(allIn(root).filter((name) => name !== 'd')).toEqual([]);
  });

  it('waits for a source that is not there yet', async () => {
    expect(await endOf(stage(), item(written('/nowhere/at/all', 'x', { baseUrl: 'file:' })))).toMatch(
      /^failed/,
    );
  });
});

describe('fetch of what needs no transfer', () => {
  it('lets removals, links and directories pass', async () => {
    for (const change of [
      { kind: 'remove' },
      { kind: 'link', to: 'x' },
      { kind: 'make-directory' },
    ] as const) {
      const gain = await gained(stage(), item(changed('right/x', change)));
      expect(gain).toMatchObject({ bytes: 0, result: { code: 201 } });
      expect(gain.inflight).toBeUndefined();
    }
    expect(server.requests).toEqual([]);
  });

  it('says of a redelivered item whose bytes are here that it is one', async () => {
    const gain = await gained(stage(), item(of('right/x'), { present: true, repeated: true }));
    expect(gain.result.text).toContain('redelivered');
    expect(server.requests).toEqual([]);
  });

  it('refuses a scheme that nobody serves', async () => {
    expect(await endOf(stage(), item(of('x', { baseUrl: 'gopher://host/' })))).toMatch(/^refused 503/);
  });

  it('does not fetch what lies here under its old name', async () => {
    mkdirSync(join(root, 'old'));
    writeFileSync(join(root, 'old/file'), rightBody);
    const renamed = item(of('right/x', { moved: { from: 'old/file' } }), {
      counterpart: targetIn(root, 'old/file'),
    });
    const gain = await gained(stage(), renamed);
    expect(gain.result.text).toBe('Linked');
    expect(server.requests).toEqual([]);
    writeFileSync(join(root, 'old/file'), 'something else');
    expect((await gained(stage(), renamed)).result.text).toBe('Downloaded');
  });

  it('fetches when the file under the old name cannot be read', async () => {
    mkdirSync(join(root, 'old/file'), { recursive: true });
    const renamed = item(of('right/x', { moved: { from: 'old/file' } }), {
      counterpart: targetIn(root, 'old/file'),
    });
    expect((await gained(stage(), renamed)).result.text).toBe('Downloaded');
  });
});

it('replaces what a killed process left under the private name', async () => {
  mkdirSync(join(root, 'd'));
  writeFileSync(join(root, 'd/.file.inflight'), 'half a file');
  linkSync(join(root, 'd/.file.inflight'), join(root, 'other'));
  const gain = await gained(stage(), item(of('right/x')));
  await gain.inflight?.install();
  expect(readFileSync(join(root, 'other'), 'utf8')).toBe('half a file');
  expect(lstatSync(join(root, 'd/file')).size).toBe(100);
});

it('never reads a byte more than announced', async () => {
  const subject = announcement('endless/x', {
    baseUrl: server.url,
    change: { kind: 'write', parts: wholeFile(10), sum: undefined },
  });
  const { outcome } = await through(stage(), item(subject));
  expect(outcome?.kind).toBe('failed');
});
