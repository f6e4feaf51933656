import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import type { Logger } from '../../../src/logger.js';
import { silentLogger } from '../../../src/logger.js';
import { findSpools, openSpool, type Spool } from '../../../src/store/spool/spool.js';
import type { DrainOptions } from '../../../src/store/spool/spool-drain.js';
import { listSegments, segmentName, writerName } from '../../../src/store/spool/spool-names.js';
import { decodeSegment, encodeEntry, type SpooledPost } from '../../../src/store/spool/spool-segment.js';

let home = '';
let directory = '';
let said: string[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'spool-'));
  directory = join(home, 'state', 'spool', 'key');
  said = [];
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

const HOUR = 3_600_000;

const logger: Logger = {
  ...silentLogger,
  error: (text) => void said.push(`error: ${text}`),
  warning: (text) => void said.push(`warning: ${text}`),
};

const postOf = (name: string, more: Partial<SpooledPost> = {}): SpooledPost => ({
  exchange: 'xs_alice',
  topic: `v02.post.${name}`,
  headers: { sum: 'n,0' },
  body: Buffer.from(`body of ${name}`),
  contentType: 'text/plain',
  ...more,
});

const open = (now: () => number = Date.now, flush = false): Spool =>
  openSpool({ directory, destination: 'amqp://alice@host/ xs_alice', flush, now });

/** Drains, and tells the last words of the topics in the order in which they were sent. */
async function drained(
  more: Partial<DrainOptions> = {},
): Promise<{ sent: string[]; result: Awaited<ReturnType<Spool['drain']>> }> {
  const sent: string[] = [];
  const result = await open().drain({
    ttl: 0,
    now: Date.now,
    logger,
    stop: new AbortController().signal,
    ...more,
    send: async (post) => {
      sent.push(post.topic.replace('v02.post.', ''));
      await (more.send?.(post) ?? new Promise(setImmediate));
    },
  });
  return { sent, result };
}

const segments = (): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.posts'))
    .sort();

const nameOf = (began: number, number: number, count: number): string =>
  segmentName(writerName(began, randomBytes(4).toString('hex')), number, count);

describe('a segment', () => {
  const entries = fc.array(
    fc.record({
      at: fc.nat(),
      post: fc.record(
        {
          exchange: fc.string({ unit: 'binary' }),
          topic: fc.string({ unit: 'grapheme' }),
          headers: fc.dictionary(fc.string(), fc.string({ unit: 'binary' })).map((one) => ({ ...one })),
          body: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
          contentType: fc.string(),
          persistent: fc.boolean(),
          expiration: fc.nat(),
        },
        { requiredKeys: ['exchange', 'topic', 'headers', 'body', 'contentType'] },
      ),
    }),
    { maxLength: 6 },
  );

  it('gives back what was written', () => {
    fc.assert(
      fc.property(entries, (written) => {
        expect(decodeSegment(Buffer.concat(written.map(encodeEntry)))).toEqual({
          entries: written,
          damaged: false,
        });
      }),
    );
  });

  it('cut anywhere, gives back what is whole and says that it is damaged', () => {
    fc.assert(
      fc.property(entries, fc.nat(), (written, where) => {
        const parts = written.map(encodeEntry);
        const all = Buffer.concat(parts);
        const cut = where % (all.length + 1);
        let whole = 0;
        let length = 0;
        while (whole < parts.length && length + (parts[whole]?.length ?? 0) <= cut) {
          length += parts[whole]?.length ?? 0;
          whole += 1;
        }
        expect(decodeSegment(all.subarray(0, cut))).toEqual({
          entries: written.slice(0, whole),
          damaged: cut !== length,
        });
      }),
    );
  });

  it('with any byte changed, gives back nothing that was not written', () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, where, change) => {
        const all = Buffer.concat(written.map(encodeEntry));
        if (all.length === 0) return;
        const at = where % all.length;
        all.writeUInt8(all.readUInt8(at) ^ change, at);
        const read = decodeSegment(all);
        expect(read.damaged).toBe(true);
        expect(written.slice(0, read.entries.length)).toEqual(read.entries);
      }),
    );
  });
});

describe('a spool', () => {
  it('makes nothing before it is used, and is nobody else’s then', async () => {
    const spool = open();
    expect(await spool.depth()).toBe(0);
    expect(existsSync(directory)).toBe(false);
    await spool.append(postOf('a'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory))
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    expect(await findSpools(join(home, 'state', 'spool'))).toEqual([
      { directory, destination: 'amqp://alice@host/ xs_alice', waiting: 1 },
    ]);
  });

  it('has what it took on disk when it says so, whoever asks', async () => {
    await open().append(postOf('a'));
    expect(await open().depth()).toBe(1);
    expect((await drained()).sent).toEqual(['a']);
    expect(await open().depth()).toBe(0);
    expect(segments()).toEqual([]);
  });

  it('keeps together what comes together, in segments of 500 at most, in order', async () => {
    const spool = open();
    const names = Array.from({ length: 1201 }, (_, number) => `n${number}`);
    await Promise.all(names.map((name) => spool.append(postOf(name))));
    expect((await listSegments(directory)).map(({ count }) => count)).toEqual([500, 500, 201]);
    const { sent, result } = await drained();
    expect(sent).toEqual(names);
    expect(result).toEqual({ posted: 1201, expired: 0, apart: 0, busy: false });
  });

  it('drains processes by the time they began', async () => {
    await open().append(postOf('now'));
    for (const [began, name] of [
      [2000, 'second'],
      [1000, 'first'],
    ] as const)
      writeFileSync(
        join(directory, nameOf(began, 0, 1)),
        encodeEntry({ at: Date.now(), post: postOf(name) }),
      );
    expect((await drained()).sent).toEqual(['first', 'second', 'now']);
  });

  it('has no more than 500 posts unconfirmed', async () => {
    const spool = open();
    for (const size of [300, 150, 200, 400])
      await Promise.all(Array.from({ length: size }, () => spool.append(postOf('x'))));
    let now = 0;
    let most = 0;
    await drained({
      send: async () => {
        now += 1;
        most = Math.max(most, now);
        await new Promise(setImmediate);
        now -= 1;
      },
    });
    expect(most).toBeLessThanOrEqual(500);
    expect(most).toBeGreaterThan(300);
  });

  it('removes nothing that was not confirmed, and nothing out of order', async () => {
    const spool = open();
    for (const name of ['a', 'b', 'c']) await spool.append(postOf(name));
    const failing = drained({
      send: async ({ topic }) => {
        if (topic.endsWith('b')) throw new RetryableError('the broker is gone');
      },
    });
    await expect(failing).rejects.toThrow('the broker is gone');
    expect((await drained()).sent).toEqual(['b', 'c']);
  });

  it('waits for what it has sent when it cannot read the next segment', async () => {
    await open().append(postOf('a'));
    const unreadable = join(directory, nameOf(Date.now() + HOUR, 1, 1));
    mkdirSync(unreadable);
    const order: string[] = [];
    const failing = drained({
      send: async () => {
        // Time enough for whoever would not wait.
        for (let turn = 0; turn < 50; turn += 1) await readFile(join(directory, 'destination'));
        order.push('confirmed');
      },
    }).finally(() => order.push('ended'));
    await expect(failing).rejects.toThrow('EISDIR');
    expect(order).toEqual(['confirmed', 'ended']);
    expect(segments()).toEqual([basename(unreadable)]);
  });

  it('ends when it is told to, and keeps the rest', async () => {
    const spool = open();
    for (let number = 0; number < 3; number += 1)
      await Promise.all(Array.from({ length: 400 }, () => spool.append(postOf(`s${number}`))));
    const stop = new AbortController();
    const result = await spool.drain({
      ttl: 0,
      now: Date.now,
      logger,
      stop: stop.signal,
      send: async () => stop.abort(),
    });
    expect(result.posted).toBe(400);
    expect(await spool.depth()).toBe(800);
  });

  it('gives up what is older than retry_ttl, and says how many', async () => {
    const begin = Date.now();
    const old = open(() => begin - 2 * HOUR);
    await Promise.all([old.append(postOf('old')), old.append(postOf('older'))]);
    await open().append(postOf('new'));
    const { sent, result } = await drained({ ttl: HOUR });
    expect(sent).toEqual(['new']);
    expect(result).toMatchObject({ posted: 1, expired: 2 });
    expect(said).toEqual([
      expect.stringMatching(/^error: 2 posts in the spool since 20.*: given up, not posted$/),
    ]);
    expect(await open().depth()).toBe(0);
  });

  it('counts the time in the spool as part of message_ttl', async () => {
    const begin = Date.now();
    const old = open(() => begin - HOUR);
    await old.append(postOf('alive', { expiration: 3 * HOUR }));
    await old.append(postOf('dead', { expiration: HOUR }));
    const expirations: (number | undefined)[] = [];
    const { sent, result } = await drained({
      now: () => begin,
      send: async ({ expiration }) => void expirations.push(expiration),
    });
    expect(sent).toEqual(['alive']);
    expect(expirations).toEqual([2 * HOUR]);
    expect(result.expired).toBe(1);
  });

  it('posts what can be read of a damaged file, keeps the file apart, and says so', async () => {
    const spool = open();
    await Promise.all([spool.append(postOf('whole')), spool.append(postOf('torn'))]);
    await spool.append(postOf('next'));
    const [name = ''] = segments();
    const data = readFileSync(join(directory, name));
    writeFileSync(join(directory, name), data.subarray(0, data.length - 3));
    const { sent, result } = await drained();
    expect(sent).toEqual(['whole', 'next']);
    expect(result).toMatchObject({ posted: 2, apart: 1 });
    expect(said).toEqual([expect.stringMatching(/^warning: .* is damaged: .* kept as .*\.posts\.damaged$/)]);
    expect(existsSync(join(directory, `${name}.damaged`))).toBe(true);
    expect(await spool.depth()).toBe(0);
  });

  it('keeps apart what no broker takes, and goes on', async () => {
    const spool = open();
    for (const name of ['bad', 'good']) await spool.append(postOf(name));
    const { sent, result } = await drained({
      send: async ({ topic }) => {
        if (topic.endsWith('bad')) throw new PermanentError(417, 'it does not fit');
      },
    });
    expect(sent).toEqual(['bad', 'good']);
    expect(result).toMatchObject({ posted: 1, apart: 1 });
    expect(said[0]).toMatch(/^error: .*it does not fit$/);
    expect(readdirSync(directory).filter((name) => name.endsWith('.refused'))).toHaveLength(1);
  });

  it('keeps everything when the exchange is missing', async () => {
    await open().append(postOf('a'));
    const missing = new PermanentError(503, 'exchange xs_alice does not exist');
    await expect(drained({ send: () => Promise.reject(missing) })).rejects.toThrow(missing);
    expect(await open().depth()).toBe(1);
  });

  it('is drained by one at a time; what comes meanwhile is drained too', async () => {
    const spool = open();
    await spool.append(postOf('a'));
    let confirm: () => void = () => undefined;
    const confirmed = new Promise<void>((resolve) => (confirm = resolve));
    let begun: () => void = () => undefined;
    const sending = new Promise<void>((resolve) => (begun = resolve));
    const first = drained({
      send: async () => {
        begun();
        await confirmed;
      },
    });
    await sending;
    await spool.append(postOf('b'));
    expect((await drained()).result).toEqual({ posted: 0, expired: 0, apart: 0, busy: true });
    confirm();
    expect((await first).sent).toEqual(['a', 'b']);
  });

  it('says what is not safe when it cannot be written', async () => {
    await open().append(postOf('a'));
    const stranger = open();
    chmodSync(directory, 0o700);
    rmSync(directory, { recursive: true });
    writeFileSync(directory, 'a file in the way');
    await expect(stranger.append(postOf('b'))).rejects.toThrow(
      /^neither confirmed by the broker nor kept in the spool .*, and post it again$/,
    );
  });

  it('is made anew when somebody cleaned up', async () => {
    const spool = open(Date.now, true);
    await spool.append(postOf('a'));
    rmSync(join(home, 'state'), { recursive: true });
    await spool.append(postOf('b'));
    expect((await drained()).sent).toEqual(['b']);
  });

  it('removes what was never finished, a day later', async () => {
    await open().append(postOf('a'));
    const old = join(directory, '.old.posts.tmp');
    const fresh = join(directory, '.fresh.posts.tmp');
    for (const file of [old, fresh]) writeFileSync(file, 'half');
    utimesSync(old, 0, (Date.now() - 25 * HOUR) / 1000);
    await drained();
    expect([existsSync(old), existsSync(fresh)]).toEqual([false, true]);
  });
});
