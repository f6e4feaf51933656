import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { messageOf, PermanentError, RetryableError } from '../../src/errors.js';
import { textLogger } from '../../src/process/log/log.js';
import { attempt } from '../../src/transport/attempts.js';
import { openBreaker, type Breaker, type BreakerOptions } from '../../src/transport/breaker.js';
import { HostFailure, HostHeld, SlowServer } from '../../src/transport/host-failure.js';
import { openTransports } from '../../src/transport/registry.js';
import type { Transports } from '../../src/transport/transport.js';
import { rightBody, startOddServer, type OddServer } from '../servers/odd-http-server.js';

const forever = new AbortController().signal;

let server: OddServer;
let other: OddServer;
let lines: string[];
let time: number;
let breaker: Breaker;
let transports: Transports;

const logger = textLogger('info', (line) => void lines.push(line));

const start = (options: Partial<BreakerOptions> = {}, timeout = 60_000): void => {
  breaker = openBreaker({
    logger,
    lanes: 8,
    failures: 3,
    now: () => Date.now() + time,
    random: () => 0,
    ...options,
  });
  const limits = { timeout, connections: 8, tlsRigour: 'normal' } as const;
  transports = openTransports({ limits, credentialOf: () => undefined, logger, breaker });
};

beforeEach(async () => {
  lines = [];
  time = 0;
  server = await startOddServer();
  other = await startOddServer();
  start();
});

afterEach(async () => {
  await transports.close();
  await server.stop();
  await other.stop();
});

async function fetched(path: string, from = server.url, stop = forever): Promise<Buffer> {
  const session = await transports.session(from, stop);
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await session.get(path, stop)).data) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    await session.close();
  }
}

const failure = (path: string, from = server.url, stop = forever): Promise<unknown> =>
  fetched(path, from, stop).then(
    () => undefined,
    (error: unknown) => error,
  );

const open = async (): Promise<void> => {
  for (let number = 0; number < 3; number += 1) expect(await failure('reset/x')).not.toBeInstanceOf(HostHeld);
  expect(breaker.held()).toHaveLength(1);
};

describe('a server that failed too often', () => {
  it('is not asked any more, and everybody is told when it will be', async () => {
    await open();
    const before = server.requests.length;
    const error = (await failure('right/x')) as HostHeld;
    expect(error).toBeInstanceOf(HostHeld);
    expect(error.notBefore?.getTime()).toBe(breaker.held()[0]?.nextProbe);
    expect((error.notBefore?.getTime() ?? 0) - Date.now()).toBeGreaterThan(4000);
    expect(server.requests.length).toBe(before);
  });

  it('does not keep others from theirs', async () => {
    await open();
    expect(await fetched('right/x', other.url)).toEqual(rightBody);
    expect(breaker.held().map(({ host }) => `${host}/`)).toEqual([server.url]);
  });

  it('is tried again by one, and asked as before once that one has an answer', async () => {
    await open();
    time += 5000;
    const before = server.requests.length;
    const [first, ...rest] = await Promise.all([
      fetched('right/x'),
      ...Array.from({ length: 5 }, () => failure('right/x')),
    ]);
    expect(first).toEqual(rightBody);
    expect(rest.every((error) => error instanceof HostHeld)).toBe(true);
    expect(server.requests.length).toBe(before + 1);
    expect(await fetched('right/x')).toEqual(rightBody);
    expect(breaker.held()).toEqual([]);
  });

  it('is left alone for longer when the probe fails', async () => {
    await open();
    time += 5000;
    expect(await failure('reset/x')).toBeInstanceOf(HostFailure);
    expect((breaker.held()[0]?.nextProbe ?? 0) - Date.now() - time).toBeGreaterThan(9000);
  });

  it('is spoken of twice, whatever the number of files', async () => {
    await open();
    for (let number = 0; number < 100; number += 1) await failure('right/x');
    time += 5000;
    await failure('reset/x');
    time += 10_000;
    await fetched('right/x');
    expect(lines.map((line) => /(left alone|answers again)/u.exec(line)?.[0])).toEqual([
      'left alone',
      'answers again',
    ]);
    expect(lines.join(' ')).toContain(new URL(server.url).host);
  });

  it('keeps no lane waiting: what it refuses is not tried again within the pass', async () => {
    await open();
    let tries = 0;
    const work = attempt(
      () => {
        tries += 1;
        return fetched('right/x');
      },
      { attempts: 5, stop: forever, longestPause: 60_000 },
    );
    await expect(work).rejects.toBeInstanceOf(HostHeld);
    expect(tries).toBe(1);
  });

  it('frees the probe when the one that makes it is stopped', async () => {
    await open();
    time += 5000;
    const controller = new AbortController();
    const probe = failure('stall-before/x', server.url, controller.signal);
    await expect.poll(() => server.requests.at(-1)?.path).toBe('/stall-before/x');
    controller.abort();
    expect(messageOf(await probe)).toContain('stopped');
    expect(await fetched('right/x')).toEqual(rightBody);
  });
});

it('a probe that gets no word is given up, also without a timeout', async () => {
  start({ firstPause: 50, longestPause: 100, patience: 100 }, 0);
  await open();
  time += 50;
  const error = await failure('stall-before/x');
  expect(error).toBeInstanceOf(HostFailure);
  expect(messageOf(error)).toContain('no word from');
  const held = breaker.held()[0];
  expect(held?.reason).toBe(messageOf(error));
  time += 100;
  expect(await fetched('right/x')).toEqual(rightBody);
  expect(breaker.held()).toEqual([]);
});

describe('what counts', () => {
  it.each([
    ['reset/x', HostFailure],
    ['status-500/x', HostFailure],
    ['status-503/x', HostFailure],
    ['status-429/x', HostFailure],
    ['reset-inside/x', HostFailure],
    ['status-401/x', RetryableError],
    ['status-404/x', RetryableError],
    ['status-410/x', PermanentError],
    ['garbage/x', RetryableError],
    ['gzip/x.txt', PermanentError],
    ['loop/1', RetryableError],
  ])('%s', async (path, kind) => {
    for (let number = 0; number < 3; number += 1) {
      const error = await failure(path);
      expect(error).toBeInstanceOf(kind);
      expect(error instanceof HostFailure).toBe(kind === HostFailure);
    }
    expect(breaker.held()).toHaveLength(kind === HostFailure ? 1 : 0);
  });

  it('a port that nobody listens on, and a name that nobody knows', async () => {
    await other.stop();
    for (const base of [other.url, 'http://no-such-name.invalid/']) {
      for (let number = 0; number < 3; number += 1)
        expect(await failure('x', base)).toBeInstanceOf(HostFailure);
      expect(await failure('x', base)).toBeInstanceOf(HostHeld);
    }
  });

  it('silence, and stalling inside of a file', async () => {
    start({}, 200);
    for (const path of ['stall-before/x', 'stall-inside/x', 'stall-large/x'])
      expect(await failure(path)).toBeInstanceOf(HostFailure);
    expect(breaker.held()).toHaveLength(1);
  });

  it('a byte now and then: one lane at most, until it finishes a file', async () => {
    start({ failures: 5 }, 400);
    const [first, second] = await Promise.all([failure('drip/a'), failure('drip/b')]);
    expect(first).toBeInstanceOf(SlowServer);
    expect(messageOf(first)).toMatch(/no more than \d+ bytes in 2 s while fetching/);
    // Far below five failures.
    expect(second).toBeInstanceOf(SlowServer);
    expect(await failure('right/a')).toBeInstanceOf(HostHeld);
    // The bytes of the probe do not let others in.
    time += 6000;
    const probe = failure('drip/c');
    await vi.waitUntil(() => server.requests.length === 3, 60_000);
    expect(await failure('right/b')).toBeInstanceOf(HostHeld);
    expect(await probe).toBeInstanceOf(SlowServer);
    expect(await failure('right/c')).toBeInstanceOf(HostHeld);
    time += 20_000;
    expect(await fetched('right/d')).toEqual(rightBody);
    expect(breaker.held()).toEqual([]);
  });

  it('slow is not dead: a file that comes in small pieces arrives', async () => {
    start({}, 400);
    expect(await fetched('trickle/150')).toHaveLength(7500);
    expect(breaker.held()).toEqual([]);
  });

  it('a file that drips among others that come to their end is only a failure', async () => {
    start({ failures: 5 }, 400);
    const slow = failure('drip/a');
    await vi.waitUntil(() => server.requests.length === 1, 60_000);
    await fetched('right/a');
    expect(await slow).toBeInstanceOf(SlowServer);
    expect(breaker.held()).toEqual([]);
    expect(await fetched('right/b')).toEqual(rightBody);
  });

  it('not a failure among answers', async () => {
    for (let number = 0; number < 5; number += 1) {
      await failure('reset/x');
      await failure('reset/x');
      await fetched('right/x');
    }
    expect(breaker.held()).toEqual([]);
  });

  it('not being stopped', async () => {
    for (let number = 0; number < 5; number += 1) {
      const controller = new AbortController();
      const work = failure('stall-before/x', server.url, controller.signal);
      controller.abort();
      await work;
    }
    expect(breaker.held()).toEqual([]);
  });

  it('the moment that the server names', async () => {
    for (let number = 0; number < 3; number += 1) await failure('status-503/x');
    expect((breaker.held()[0]?.nextProbe ?? 0) - Date.now()).toBeGreaterThan(80_000);
  });
});

describe('a silent server', () => {
  it('that nobody knows gets half of the lanes, and soon no more', async () => {
    start({ grace: 100 });
    const stopped = new AbortController();
    const work = Array.from({ length: 8 }, () => failure('stall-before/x', server.url, stopped.signal));
    const [...refused] = await Promise.all(work.slice(4));
    expect(refused.every((error) => error instanceof HostHeld)).toBe(true);
    expect(server.requests).toHaveLength(4);
    // And one more is refused without any wait.
    expect(await failure('right/x')).toBeInstanceOf(HostHeld);
    expect(lines.filter((line) => line.includes('has not answered yet'))).toHaveLength(1);
    stopped.abort();
    await Promise.all(work);
  });

  it('that nobody knows gets all lanes with its first word', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => fetched('right/x')));
    expect(all.every((body) => body.equals(rightBody))).toBe(true);
  });

  it('gets all lanes with its first word also when it was not asked for long', async () => {
    await fetched('right/x');
    time += 3_600_000;
    const errors = await Promise.all(Array.from({ length: 20 }, () => failure('right/x')));
    expect(errors.filter((error) => error !== undefined)).toEqual([]);
  });

  it('is not hoped for longer because the clock is set back', async () => {
    start({ grace: 300 });
    const stopped = new AbortController();
    const work = Array.from({ length: 4 }, () => failure('stall-before/x', server.url, stopped.signal));
    await vi.waitFor(() => expect(server.requests).toHaveLength(4), 60_000);
    time -= 3_600_000;
    const hopeful = failure('right/x');
    expect(await hopeful).toBeInstanceOf(HostHeld);
    stopped.abort();
    await Promise.all(work);
  });

  it('gives the lanes back when others want them', async () => {
    start({ patience: 300 });
    await fetched('right/x');
    await fetched('right/x', other.url);
    const errors = await Promise.all(Array.from({ length: 8 }, () => failure('stall-before/x')));
    expect(errors.every((error) => error instanceof HostFailure)).toBe(true);
    expect(messageOf(errors[0])).toContain('no word from');
    expect(breaker.held()).toHaveLength(1);
    expect(lines.filter((line) => line.includes('left alone'))).toHaveLength(1);
    time += 5000;
    expect(await fetched('right/x')).toEqual(rightBody);
  });

  it('is not waited for longer for ever because it was slow once', async () => {
    start({ patience: 300 }, 3000);
    await fetched('right/x', other.url);
    const slowly = breaker.guard(await transports.session(other.url, forever), server.url);
    const answer = slowly.get('right/x', forever);
    time += 100_000;
    for await (const chunk of (await answer).data) expect(chunk.length).toBeGreaterThan(0);
    for (let number = 0; number < 10; number += 1) await fetched('right/x');
    await fetched('right/x', other.url);
    const errors = await Promise.all(Array.from({ length: 4 }, () => failure('stall-before/x')));
    // Not for the three seconds that a server is given which nobody else waits for.
    expect(messageOf(errors[0])).toMatch(/for [012]\.\d+ s/u);
  });

  it('is waited for when nobody else wants the lanes', async () => {
    start({ patience: 50 }, 500);
    await fetched('right/x');
    const errors = await Promise.all(Array.from({ length: 4 }, () => failure('stall-before/x')));
    expect(messageOf(errors[0])).toContain('no byte for 0.5 s');
  });

  it('is waited for by one alone', async () => {
    start({ patience: 50 }, 500);
    await fetched('right/x', other.url);
    expect(messageOf(await failure('stall-before/x'))).toContain('no byte for 0.5 s');
  });

  it('is not silent while one of its files flows', async () => {
    // Far above any time for which a busy machine may let this process wait.
    start({ patience: 1000, failures: 100 }, 3000);
    await fetched('right/x', other.url);
    const session = await transports.session(server.url, forever);
    const flowing = (await session.get('endless/x', forever)).data[Symbol.asyncIterator]();
    let isOver = false;
    const waiting = Promise.all([failure('stall-before/1'), failure('stall-before/2')]).finally(() => {
      isOver = true;
    });
    while (!isOver) await flowing.next();
    await flowing.return?.();
    for (const error of await waiting) expect(messageOf(error)).toContain('no byte for 3 s');
  });
});

it('any number of servers is no burden', async () => {
  start({ failures: 1 });
  const session = { get: () => Promise.reject(new HostFailure('no')), close: () => Promise.resolve() };
  for (let number = 0; number < 3000; number += 1) {
    const guarded = breaker.guard(session, `http://host-${number}.invalid/`);
    await guarded.get('x', forever).catch(() => undefined);
  }
  expect(breaker.held().length).toBeLessThanOrEqual(1000);
});
