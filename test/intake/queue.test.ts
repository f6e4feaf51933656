import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Consumer, Delivery } from '../../src/broker/broker.js';
import type { Taken } from '../../src/flow/item.js';
import type { Outcome } from '../../src/flow/outcome.js';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { type QueueOptions, queue, touchesOf } from '../../src/intake/queue.js';
import { openLevelStore } from '../../src/store/level-store.js';
import type { Change } from '../../src/message/announcement.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import type { Store } from '../../src/store/store.js';
import { changed, never, takenOf, written } from '../stage/items.js';

let store: Store;
let now = 1_000_000;
beforeEach(async () => {
  now = 1_000_000;
  store = (await createMemoryStore({ now: () => now })).join('test');
});
afterEach(async () => {
  await store.close();
});

/** A consumer of our own hand: what is pushed is delivered, one after the other. */
function line(): Consumer & {
  push: (name: string) => void;
  fail: (error: Error) => void;
  ends: string[];
  queued: number;
} {
  const waiting: Delivery[] = [];
  const ends: string[] = [];
  let unacknowledged = 0;
  let wake: (() => void) | undefined;
  let stopped = false;
  let failure: Error | undefined;
  const self = {
    ends,
    queued: 0,
    push: (name: string): void => {
      unacknowledged += 1;
      const end = (how: string) => (): void => {
        unacknowledged -= 1;
        ends.push(`${how} ${name}`);
      };
      waiting.push({
        exchange: 'xpublic',
        topic: 'v02.post',
        headers: { sum: '0,0' },
        contentType: 'text/plain',
        body: Buffer.from(`20160120070000.123 http://d/ /${name}`),
        redelivered: name.startsWith('again'),
        ack: end('ack'),
        requeue: end('requeue'),
        isLost: () => false,
      });
      wake?.();
    },
    fail: (error: Error): void => {
      failure = error;
      wake?.();
    },
    ready: async () => self.queued,
    unacknowledged: () => unacknowledged,
    stop: async () => {
      stopped = true;
      wake?.();
    },
    async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
      for (;;) {
        if (failure !== undefined) throw failure;
        const next = waiting.shift();
        if (next !== undefined) yield next;
        else if (stopped) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
  return self;
}

const options = (more: Partial<QueueOptions> = {}): QueueOptions => ({
  once: true,
  retriesAtOnce: 2,
  pollPeriod: 5,
  now: () => now,
  ...more,
});

const addRetry = (name: string, due = now): Promise<void> =>
  store.retries.add(
    {
      exchange: 'xpublic',
      topic: 'v02.post',
      headers: { sum: '0,0' },
      body: `20160120070000.123 http://d/ /${name}`,
      contentType: undefined,
      paths: [],
      instant: now,
      firstFailure: now,
      tries: 1,
      reason: 'why',
    },
    due,
  );

const nameOf = ({ message }: Taken): string =>
  message.kind === 'post' ? message.announcement.relPath.slice(1) : message.kind;
const good: Outcome = { kind: 'done', code: 201, text: '' };

async function take(
  from: AsyncIterable<Taken>,
  each: (item: Taken) => Promise<void> | undefined = (item) => item.close(good),
): Promise<string[]> {
  const names: string[] = [];
  for await (const item of from) {
    names.push(nameOf(item));
    await each(item);
  }
  return names;
}

describe('queue', () => {
  it('takes deliveries and retries in turns, so that neither starves', async () => {
    const consumer = line();
    for (let n = 0; n < 6; n += 1) {
      consumer.push(`d${n}`);
      await addRetry(`r${n}`);
    }
    const names = await take(queue(consumer, store.retries, options({ retriesAtOnce: 6 })).items(never()));
    expect(names).toHaveLength(12);
    expect(names.join(' ')).toMatch(/^d0 r0 d1 r1 d2 r2 d3 r3 d4 r4 d5 r5$/);
    expect((await store.retries.size()).waiting).toBe(0);
    expect(consumer.ends).toEqual(['ack d0', 'ack d1', 'ack d2', 'ack d3', 'ack d4', 'ack d5']);
  });

  it('has only a few retries in hand, however many are due', async () => {
    for (let n = 0; n < 10; n += 1) await addRetry(`r${n}`);
    const stop = new AbortController();
    const held: Taken[] = [];
    const consumer = line();
    const taking = take(
      queue(consumer, store.retries, options({ once: false })).items(stop.signal),
      async (item) => {
        held.push(item);
        if (item.delivery === undefined) return;
        stop.abort();
      },
    );
    await expect.poll(() => held.length).toBe(2);
    await held[0]?.close(good);
    // A second close of one item must not make room for two.
    await held[0]?.close({ kind: 'handed back' });
    await expect.poll(() => held.length).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(held).toHaveLength(3);
    consumer.push('last');
    expect(await taking).toEqual(['r0', 'r1', 'r2', 'last']);
  });

  it('ends with --once only when nothing is ready, in hand or due', async () => {
    const consumer = line();
    consumer.queued = 1;
    let ended = false;
    let held: Taken | undefined;
    const taking = take(queue(consumer, store.retries, options()).items(never()), async (item) => {
      held = item;
    }).finally(() => (ended = true));
    const idle = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      expect(ended).toBe(false);
    };
    await idle();
    consumer.push('d');
    consumer.queued = 0;
    await idle();
    await addRetry('r', now + 1000);
    await held?.close(good);
    expect(await taking).toEqual(['d']);
    expect((await store.retries.size()).waiting).toBe(1);
  });

  it('works what is due before it ends, and what becomes due meanwhile', async () => {
    await addRetry('r0');
    await addRetry('r1', now + 500);
    const names = await take(queue(line(), store.retries, options()).items(never()), async (item) => {
      now += 1000;
      await item.close(good);
    });
    expect(names).toEqual(['r0', 'r1']);
  });

  it('gives back what was taken and not handed out when it is stopped', async () => {
    const consumer = line();
    for (const name of ['r0', 'r1']) await addRetry(name);
    for (const name of ['d0', 'd1']) consumer.push(name);
    const stop = new AbortController();
    const names = await take(
      queue(consumer, store.retries, options({ once: false })).items(stop.signal),
      async (item) => {
        await new Promise(setImmediate);
        stop.abort();
        await item.close({ kind: 'handed back' });
      },
    );
    expect(names).toEqual(['d0']);
    expect(consumer.ends).toEqual(['requeue d0']);
    expect((await store.retries.take(5)).map(({ body }) => body.slice(-2))).toEqual(['r0', 'r1']);
  });

  it('returns to the broker what came while it was stopped', async () => {
    const consumer = line();
    await addRetry('r');
    const stop = new AbortController();
    await take(queue(consumer, store.retries, options({ once: false })).items(stop.signal), async () => {
      consumer.push('d');
      await new Promise(setImmediate);
      stop.abort();
    });
    expect(consumer.ends).toEqual(['requeue d']);
  });

  it('wakes up when it is stopped while idle', async () => {
    const stop = new AbortController();
    const taking = take(
      queue(line(), store.retries, options({ once: false, pollPeriod: 60_000 })).items(stop.signal),
    );
    setImmediate(() => stop.abort());
    expect(await taking).toEqual([]);
  });

  it('passes on what ends the consumer, and hands retries back', async () => {
    const consumer = line();
    await addRetry('r0');
    await addRetry('r1');
    const taking = take(queue(consumer, store.retries, options({ once: false })).items(never()), async () => {
      consumer.fail(new Error('gone'));
      await new Promise(setImmediate);
    });
    await expect(taking).rejects.toThrow('gone');
    // The other one is still in hand.
    expect((await store.retries.take(5)).map(({ body }) => body.slice(-2))).toEqual(['r1']);
  });

  const outcomes: readonly [Outcome, string, number][] = [
    [good, 'ack', 0],
    [{ kind: 'dropped', by: 'x' }, 'ack', 0],
    [{ kind: 'refused', error: new PermanentError(417, 'x') }, 'ack', 0],
    // The settler before has kept it.
    [{ kind: 'failed', error: new RetryableError('x') }, 'ack', 1],
    [{ kind: 'handed back' }, 'requeue', 1],
  ];
  it.each(outcomes)('closes %o', async (outcome, end, left) => {
    const consumer = line();
    consumer.push('again');
    await addRetry('r');
    const items: Taken[] = [];
    for await (const item of queue(consumer, store.retries, options({ once: false })).items(never())) {
      items.push(item);
      if (items.length === 2) break;
    }
    for (const item of items) await item.close(outcome);
    expect(consumer.ends).toEqual([`${end} again`]);
    expect((await store.retries.size()).waiting).toBe(left);
    expect(items.map(({ repeated, retry }) => [repeated, retry?.tries])).toEqual([
      [true, undefined],
      [true, 1],
    ]);
  });

  it('reads posts under a prefix of their own', async () => {
    const consumer = line();
    await store.retries.add(
      {
        exchange: 'x',
        topic: 'own.prefix.a',
        headers: { sum: '0,0' },
        body: '20160120070000 http://d/ /f',
        contentType: undefined,
        paths: [],
        instant: 0,
        firstFailure: now,
        tries: 1,
        reason: '',
      },
      now,
    );
    expect(
      await take(queue(consumer, store.retries, options({ postPrefix: 'own.prefix' })).items(never())),
    ).toEqual(['f']);
  });

  it('hands out what cannot be decoded like everything else', async () => {
    const consumer = line();
    consumer.push('bad\nname\u0000');
    consumer.push('\u0000');
    expect((await take(queue(consumer, store.retries, options()).items(never()))).length).toBe(2);
  });
});

describe('a retry list that is full', () => {
  it.each(['oldest', 'newest'] as const)(
    'is worked off beside a stream of what is new, %s first',
    async (retryOrder) => {
      const many = 10_000;
      const directory = await mkdtemp(join(tmpdir(), 'queue-'));
      const owned = await openLevelStore(directory, { now: () => now, retryOrder });
      if (owned === undefined) throw new Error('locked');
      const deep = owned.join('test');
      const retry = (n: number): Parameters<typeof deep.retries.add> => [
        {
          exchange: 'xpublic',
          topic: 'v02.post',
          headers: { sum: '0,0' },
          body: `20160120070000.123 http://d/ /r${n}`,
          contentType: undefined,
          paths: [],
          instant: now,
          firstFailure: now,
          tries: 1,
          reason: 'why',
        },
        now - many + n,
      ];
      await Promise.all(Array.from({ length: many }, (_, n) => deep.retries.add(...retry(n))));
      const consumer = line();
      const stop = new AbortController();
      const names: string[] = [];
      consumer.push('d');
      // The period between two looks never ends: every retry after the first few comes because there was room.
      const pace = options({ once: false, pollPeriod: 2 ** 30, retriesAtOnce: 2 });
      await take(queue(consumer, deep.retries, pace).items(stop.signal), async (item) => {
        names.push(nameOf(item).slice(0, 1));
        // There is always a next one.
        if (item.delivery !== undefined) consumer.push('d');
        await item.close(good);
        if (names.length === 2000) stop.abort();
      });
      const retried = names.filter((name) => name === 'r').length;
      expect(retried).toBeGreaterThanOrEqual(900);
      expect(names.length - retried).toBeGreaterThanOrEqual(900);
      // Neither waits long, at any time.
      expect(names.join('')).not.toMatch(/r{4}|d{4}/);
      await owned.close();
      await rm(directory, { recursive: true });
    },
    60_000,
  );

  it('is worked off without a pause when nothing is new', async () => {
    for (let n = 0; n < 50; n += 1) await addRetry(`r${n}`);
    const stop = new AbortController();
    const pace = options({ once: false, pollPeriod: 2 ** 30, retriesAtOnce: 3 });
    let count = 0;
    await take(queue(line(), store.retries, pace).items(stop.signal), async (item) => {
      await item.close(good);
      count += 1;
      if (count === 50) stop.abort();
    });
    expect(count).toBe(50);
  });
});

describe('touchesOf', () => {
  it('names both ends of a rename, and all below of what may be a directory', () => {
    expect(touchesOf(takenOf(written('//a/./f%20x', 'x', { moved: { from: '/b' } })))).toEqual([
      { path: 'a/f x', subtree: false },
      { path: 'b', subtree: false },
    ]);
    expect(touchesOf(takenOf(changed('/a/', { kind: 'remove' })))).toEqual([{ path: 'a', subtree: true }]);
    expect(
      touchesOf(takenOf(written('a', 'x'), { message: { kind: 'rejected', code: 417, reason: '' } })),
    ).toEqual([]);
  });

  it('has the blocks of one file in one party, however they are kept', () => {
    const parts = (method: 'i' | 'p', number: number): Change => ({
      kind: 'write',
      parts: { method, blockSize: 10, count: 3, remainder: 6, number },
      sum: { algorithm: 'd', value: 'x' },
    });
    const [one] = touchesOf(takenOf(changed('/a', parts('i', 0))));
    const [two] = touchesOf(takenOf(changed('/a.10.3.6.2.d.Part', parts('p', 2))));
    expect(one).toMatchObject({ path: 'a', subtree: false, party: expect.any(String) as string });
    expect(two).toEqual(one);
  });
});
