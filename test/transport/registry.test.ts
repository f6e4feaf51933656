import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FatalError, PermanentError, RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import { openBandwidth } from '../../src/store/bandwidth.js';
import { attempt } from '../../src/transport/attempts.js';
import { openPool } from '../../src/transport/pool.js';
import { openRate } from '../../src/transport/rate.js';
import { openTransports } from '../../src/transport/registry.js';
import type { Session } from '../../src/transport/transport.js';

/** What the store of one process gives out. */
const bucket = () => openBandwidth(() => performance.now()).of({ name: 'test' }).lease;

const forever = new AbortController().signal;
const options = {
  limits: { timeout: 1000, connections: 2, tlsRigour: 'normal' as const },
  credentialOf: () => undefined,
  logger: silentLogger,
};

describe('schemes', () => {
  it.each(['gopher://h/', 'constructor:', 'nothing', '', '://h', 'javascript:x'])(
    '%j: nobody serves it',
    async (url) => {
      const transports = openTransports(options);
      const error: unknown = await transports.session(url, forever).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(PermanentError);
      expect(error).toHaveProperty('code', 503);
      await transports.close();
    },
  );

  it.each(['http://h/', 'HTTPS://h/', 'file:', 'File:///'])('%j: somebody does', async (url) => {
    const transports = openTransports(options);
    await (await transports.session(url, forever)).close();
    await transports.close();
  });

  it('asks for the credential of the very base URL', async () => {
    const credentialOf = vi.fn(() => undefined);
    const transports = openTransports({ ...options, credentialOf });
    await transports.session('http://user@h/x/', forever);
    expect(credentialOf).toHaveBeenCalledWith('http://user@h/x/');
    await transports.close();
  });

  it('keep the bandwidth limit', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sarracenia-rate-'));
    writeFileSync(join(directory, 'file'), Buffer.alloc(300 * 1024));
    // The bucket fills from now on, also while the transport is loaded.
    const start = performance.now();
    const transports = openTransports({ ...options, bandwidth: { kbytesPerSecond: 200, lease: bucket() } });
    const session = await transports.session('file:', forever);
    let total = 0;
    for await (const chunk of (await session.get(join(directory, 'file'), forever)).data)
      total += chunk.byteLength;
    expect(total).toBe(300 * 1024);
    expect(performance.now() - start).toBeGreaterThan(1300);
    await transports.close();
    rmSync(directory, { recursive: true });
  });
});

describe('sessions', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const counted = () => {
    const counts = { opened: 0, closed: 0 };
    const open = async (): Promise<Session> => {
      counts.opened += 1;
      return {
        get: () => Promise.reject(new Error('not asked')),
        close: async () => {
          counts.closed += 1;
        },
      };
    };
    return { counts, pool: openPool({ idle: 1000, open }) };
  };

  it('are shared, kept while used, and closed when idle', async () => {
    const { counts, pool } = counted();
    const [one, two] = await Promise.all([pool.session('a:', forever), pool.session('a:', forever)]);
    expect(counts.opened).toBe(1);
    await one.close();
    await one.close();
    await vi.advanceTimersByTimeAsync(5000);
    expect(counts.closed).toBe(0);
    await two.close();
    await vi.advanceTimersByTimeAsync(900);
    const three = await pool.session('a:', forever);
    await vi.advanceTimersByTimeAsync(900);
    expect(counts).toEqual({ opened: 1, closed: 0 });
    await three.close();
    await vi.advanceTimersByTimeAsync(1100);
    expect(counts).toEqual({ opened: 1, closed: 1 });
    await pool.session('a:', forever);
    expect(counts.opened).toBe(2);
  });

  it('stay few, however many sites are named', async () => {
    const { counts, pool } = counted();
    for (let number = 0; number < 500; number += 1)
      await (await pool.session(`a:${number}`, forever)).close();
    expect(counts.opened - counts.closed).toBeLessThanOrEqual(64);
    await pool.close();
    expect(counts.opened).toBe(counts.closed);
  });

  it('that failed to open for one are opened anew for the other', async () => {
    let tries = 0;
    const pool = openPool({
      idle: 1000,
      open: async () => {
        tries += 1;
        if (tries === 1) throw new RetryableError('the first was stopped');
        return { get: () => Promise.reject(new Error('not asked')), close: async () => undefined };
      },
    });
    const first = pool.session('a:', forever);
    const second = pool.session('a:', forever);
    await expect(first).rejects.toBeInstanceOf(RetryableError);
    await expect(second).resolves.toBeDefined();
    expect(tries).toBe(2);
  });
});

describe('attempts', () => {
  const quick = { attempts: 3, stop: forever, backoff: 1 };
  const failing = (error: Error, times: number) => {
    const seen: number[] = [];
    return {
      seen,
      work: async (number: number): Promise<string> => {
        seen.push(number);
        if (seen.length <= times) throw error;
        return 'done';
      },
    };
  };

  it('end with the first success', async () => {
    const { seen, work } = failing(new RetryableError('x'), 2);
    expect(await attempt(work, quick)).toBe('done');
    expect(seen).toEqual([1, 2, 3]);
  });

  it('end after the number allowed, with the last error', async () => {
    const error = new RetryableError('x');
    const { seen, work } = failing(error, 99);
    await expect(attempt(work, quick)).rejects.toBe(error);
    expect(seen).toHaveLength(3);
  });

  it.each([
    new PermanentError(499, 'never'),
    new Error('a bug'),
    new RetryableError('much later', { notBefore: new Date(Date.now() + 3_600_000) }),
  ])('are not repeated after %s', async (error) => {
    const { seen, work } = failing(error, 99);
    await expect(attempt(work, quick)).rejects.toBe(error);
    expect(seen).toEqual([1]);
  });

  it('wait as long as the server asks, when that is not long', async () => {
    const at = Date.now() + 150;
    const { work } = failing(new RetryableError('soon', { notBefore: new Date(at) }), 1);
    await attempt(work, quick);
    expect(Date.now()).toBeGreaterThanOrEqual(at - 2);
  });

  it('end when stopped, even while waiting', async () => {
    const controller = new AbortController();
    const { seen, work } = failing(new RetryableError('x'), 99);
    const result = attempt(work, {
      attempts: 5,
      stop: controller.signal,
      backoff: 60_000,
      longestPause: 60_000,
    });
    setTimeout(() => {
      controller.abort();
    }, 20);
    await expect(result).rejects.toThrow('x');
    expect(seen).toEqual([1]);
  });
});

describe('the bandwidth limit', () => {
  async function* chunks(number: number, size: number): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < number; done += 1) yield Buffer.alloc(size);
  }
  const drain = async (data: AsyncIterable<Uint8Array>): Promise<number> => {
    let total = 0;
    for await (const chunk of data) total += chunk.byteLength;
    return total;
  };

  it('is shared by all that pass', async () => {
    const rate = openRate(256, { lease: bucket() });
    const start = performance.now();
    const totals = await Promise.all([1, 2].map(() => drain(rate.limit(chunks(12, 16 * 1024), forever))));
    expect(totals).toEqual([12 * 16 * 1024, 12 * 16 * 1024]);
    expect(performance.now() - start).toBeGreaterThan(1300);
  });

  it('asks for no more than is moved, and not for every small piece', async () => {
    const asked: number[] = [];
    const rate = openRate(1000, {
      lease: async (_perSecond, wanted) => {
        asked.push(wanted);
        return wanted;
      },
    });
    expect(await drain(rate.limit(chunks(1000, 1000), forever))).toBe(1_000_000);
    expect(asked.length).toBeLessThan(60);
    expect(asked.reduce((sum, one) => sum + one, 0)).toBeLessThan(1_000_000 + 102_400);
    expect(Math.max(...asked)).toBeLessThanOrEqual(102_400);
  });

  it('fails for all who wait when nobody answers', async () => {
    const rate = openRate(1, { lease: async () => Promise.reject(new FatalError('gone')) });
    const failed = await Promise.allSettled([1, 2].map(() => drain(rate.limit(chunks(1, 9), forever))));
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('ends when stopped, and ends what it reads from', async () => {
    const controller = new AbortController();
    let ended = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunks(10, 1_000_000);
      } finally {
        ended = true;
      }
    }
    const result = drain(openRate(1, { lease: bucket() }).limit(source(), controller.signal));
    setTimeout(() => {
      controller.abort();
    }, 20);
    await expect(result).rejects.toBeInstanceOf(RetryableError);
    expect(ended).toBe(true);
  });

  it('is not refused to one because another was stopped', async () => {
    const reasons: unknown[] = [];
    const waiting: { readonly reject: (reason: Error) => void; readonly resolve: (bytes: number) => void }[] =
      [];
    const rate = openRate(1, {
      lease: (_perSecond, _wanted, stop) =>
        new Promise((resolve, reject) => {
          waiting.push({ resolve, reject });
          stop.addEventListener('abort', () => reasons.push(stop.reason), { once: true });
        }),
    });
    const controller = new AbortController();
    const first = drain(rate.limit(chunks(1, 10), controller.signal)).catch((thrown: unknown) => thrown);
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    controller.abort();
    expect(await first).toBeInstanceOf(RetryableError);
    expect(reasons).toHaveLength(1);
    // The answer to the one that was stopped comes only now, when somebody else waits.
    const second = drain(rate.limit(chunks(1, 10), forever));
    await vi.waitFor(() => expect(waiting).toHaveLength(2));
    waiting[0]?.reject(new Error('not for me'));
    await new Promise(setImmediate);
    waiting[1]?.resolve(10);
    await expect(second).resolves.toBe(10);
  });
});
