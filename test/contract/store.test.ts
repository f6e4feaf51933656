import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Retry, Store } from '../../src/store/store.js';
import { compiled, type Compiled } from '../store/compiled.js';
import { isWaiting, retryTtl, type Subject, subjects } from './store-subjects.js';

let programs: Compiled;
let directory: string;
const day = 86_400_000;

const retryOf = (name: string, change: Partial<Retry> = {}): Omit<Retry, 'id'> => ({
  exchange: 'xpublic',
  topic: 'v02.post.a.b',
  headers: { sum: 'd,abc', 'odd "name"': 'line\nfeed \u{1f600}', ['__proto__']: 'own' },
  body: `20260101 sftp://host/ ${name}`,
  contentType: undefined,
  paths: [`/data/${name}`],
  instant: 1_000_000,
  firstFailure: Date.now(),
  tries: 1,
  reason: 'refused',
  ...change,
});

beforeAll(async () => {
  programs = await compiled();
});
afterAll(async () => programs.remove());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'store-'));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

describe.each(Object.keys(subjects))('a store %s', (kind) => {
  let subject: Subject;
  let store: Store;
  let other: Store;

  beforeEach(async () => {
    const open = subjects[kind];
    if (open === undefined) throw new Error(kind);
    subject = await open({ directory, programs });
    store = await subject.join();
    other = await subject.join();
  });
  afterEach(async () => {
    await store.close();
    await other.close();
    await subject.close();
  });

  describe('duplicates', () => {
    it('gives a key to the first who claims it, and knows it once committed', async () => {
      expect(await store.seen.claim('k', 60_000)).toBe('ours');
      await store.seen.commit('k', 60_000);
      expect(await store.seen.claim('k', 60_000)).toBe('known');
      expect(await other.seen.claim('k', 60_000)).toBe('known');
      expect(await other.seen.claim('another', 60_000)).toBe('ours');
    });

    it('lets a second copy wait for the end of the first, then know it', async () => {
      await store.seen.claim('k', 60_000);
      const copy = other.seen.claim('k', 60_000);
      const sibling = store.seen.claim('k', 60_000);
      expect(await isWaiting(copy, other)).toBe(true);
      expect(await isWaiting(sibling, store)).toBe(true);
      await store.seen.commit('k', 60_000);
      expect(await copy).toBe('known');
      expect(await sibling).toBe('known');
    });

    it('hands a released key to the first who waits, and to one only', async () => {
      await store.seen.claim('k', 60_000);
      const first = other.seen.claim('k', 60_000);
      await isWaiting(first, other);
      const second = store.seen.claim('k', 60_000);
      await isWaiting(second, store);
      await store.seen.release('k');
      expect(await first).toBe('ours');
      expect(await isWaiting(second, store)).toBe(true);
      await other.seen.release('k');
      expect(await second).toBe('ours');
    });

    it('does not let one client give up the claim of another', async () => {
      await store.seen.claim('k', 60_000);
      await other.seen.release('k');
      expect(
        await isWaiting(
          other.seen.claim('k', 60_000).catch(() => 'refused'),
          other,
        ),
      ).toBe(true);
    });

    it('voids the claims of a client that is gone', async () => {
      await other.seen.claim('k', 60_000);
      const waiting = store.seen.claim('k', 60_000);
      await isWaiting(waiting, store);
      await other.close();
      expect(await waiting).toBe('ours');
    });

    it('forgets a key after its period, counted from the last hit', async () => {
      await store.seen.commit('k', 60_000);
      await store.seen.commit('never met again', 60_000);
      for (let hits = 0; hits < 5; hits += 1) {
        await subject.advance(40_000);
        expect(await store.seen.claim('k', 60_000)).toBe('known');
      }
      await subject.advance(61_000);
      expect(await store.seen.claim('k', 60_000)).toBe('ours');
      expect(await store.seen.claim('never met again', 60_000)).toBe('ours');
    });

    it('finds a key although the period asked for has changed', async () => {
      await store.seen.commit('short', 5_000);
      await store.seen.commit('long', 30 * day);
      expect(await store.seen.claim('short', 30 * day)).toBe('known');
      expect(await store.seen.claim('long', 5_000)).toBe('known');
      await subject.advance(29 * day);
      expect(await store.seen.claim('long', 5_000)).toBe('known');
    });

    it('remembers nothing for a period of zero', async () => {
      await store.seen.claim('k', 0);
      await store.seen.commit('k', 0);
      expect(await store.seen.claim('k', 0)).toBe('ours');
    });

    it('forgets what was committed for a path, and nothing else', async () => {
      await store.seen.commit('a1', 60_000, '/a');
      await store.seen.commit('a2', 60_000, '/a');
      await store.seen.commit('b', 60_000, '/b');
      await store.seen.commit('none', 60_000);
      await subject.advance(50_000);
      expect(await store.seen.claim('a2', 60_000)).toBe('known');
      await other.seen.forgetPath('/a');
      expect(await store.seen.claim('a1', 60_000)).toBe('ours');
      expect(await store.seen.claim('a2', 60_000)).toBe('ours');
      expect(await store.seen.claim('b', 60_000)).toBe('known');
      expect(await store.seen.claim('none', 60_000)).toBe('known');
    });

    it('forgets nothing of a path while one key is all that is known of it', async () => {
      await store.seen.commit('gone', 60_000, '/a');
      await other.seen.forgetPath('/a', 'gone');
      expect(await store.seen.claim('gone', 60_000)).toBe('known');
      await store.seen.commit('a1', 60_000, '/a');
      await other.seen.forgetPath('/a', 'gone');
      expect(await store.seen.claim('gone', 60_000)).toBe('ours');
      expect(await store.seen.claim('a1', 60_000)).toBe('ours');
    });

    it('leaves the queue for a key when aborted', async () => {
      await store.seen.claim('k', 60_000);
      const stop = new AbortController();
      const waiting = other.seen.claim('k', 60_000, stop.signal);
      await isWaiting(waiting, other);
      stop.abort(new Error('stopped'));
      await expect(waiting).rejects.toThrow('stopped');
      await other.retries.size();
      await store.seen.release('k');
      expect(await store.seen.claim('k', 60_000)).toBe('ours');
      await expect(other.seen.claim('k', 60_000, stop.signal)).rejects.toThrow('stopped');
    });

    it('keeps nothing of a claim whose grant crosses an abort', async () => {
      for (let round = 0; round < 20; round += 1) {
        const stop = new AbortController();
        const claim = other.seen.claim(`crossing ${round}`, 60_000, stop.signal);
        const abort = (): void => stop.abort(new Error('stopped'));
        if (round % 2 === 0) setImmediate(abort);
        else queueMicrotask(abort);
        const answer = await claim.catch(() => 'aborted');
        if (answer === 'ours') await other.seen.release(`crossing ${round}`);
        expect(await store.seen.claim(`crossing ${round}`, 60_000)).toBe('ours');
      }
    });
  });

  describe('paths', () => {
    it('lets one item at a time have a path, in the order of asking', async () => {
      const order: string[] = [];
      await store.paths.enter(['/a'], 1000);
      const second = other.paths.enter(['/a'], 1000).then((entry) => order.push(`second ${entry}`));
      await isWaiting(second, other);
      const third = store.paths.enter(['/a'], 1001).then((entry) => order.push(`third ${entry}`));
      expect(await isWaiting(third, store)).toBe(true);
      expect(await other.paths.enter(['/b'], 1)).toBe('entered');
      await store.paths.leave(['/a']);
      await second;
      expect(await isWaiting(third, store)).toBe(true);
      await other.paths.leave(['/a']);
      await third;
      expect(order).toEqual(['second entered', 'third entered']);
    });

    it('refuses what is older than the newest, whether in hand or lately so', async () => {
      await store.paths.enter(['/a'], 2000);
      expect(await other.paths.enter(['/a'], 1999)).toBe('superseded');
      await store.paths.leave(['/a']);
      expect(await other.paths.enter(['/a'], 1999)).toBe('superseded');
      await subject.advance(3_500_000);
      expect(await other.paths.enter(['/a'], 1999)).toBe('superseded');
      expect(await other.paths.enter(['/a'], 2000)).toBe('entered');
      await other.paths.leave(['/a']);
      await subject.advance(3 * 3_600_000);
      expect(await other.paths.enter(['/a'], 1)).toBe('entered');
    });

    it('refuses an item that became too old while it waited', async () => {
      await store.paths.enter(['/a', '/b'], 1000);
      const rename = store.paths.enter(['/b', '/c'], 3000);
      await isWaiting(rename, store);
      const old = other.paths.enter(['/b'], 2000);
      expect(await isWaiting(old, other)).toBe(true);
      await store.paths.leave(['/b']);
      expect(await rename).toBe('entered');
      await store.paths.leave(['/c']);
      expect(await old).toBe('superseded');
      expect(await other.paths.enter(['/c'], 3000)).toBe('entered');
    });

    it('only holds the further paths of an item: their own announcements decide about them', async () => {
      expect(await store.paths.enter(['/new', '/old'], 5000)).toBe('entered');
      await store.paths.leave(['/new', '/old']);
      expect(await other.paths.enter(['/old'], 4000)).toBe('entered');
      await other.paths.leave(['/old']);
      expect(await other.paths.enter(['/new'], 4000)).toBe('superseded');
    });

    it('ends only what is left, not what comes next in one of its lines', async () => {
      await store.paths.enter(['/a', '/b'], 1000);
      const second = store.paths.enter(['/b'], 2000);
      await isWaiting(second, store);
      const third = other.paths.enter(['/b'], 3000);
      await isWaiting(third, other);
      await store.paths.leave(['/a', '/b']);
      expect(await second).toBe('entered');
      expect(await isWaiting(third, other)).toBe(true);
      await store.paths.confirm(['/b']);
      await store.paths.leave(['/b']);
      expect(await third).toBe('entered');
    });

    it('does not believe an announcement from the future', async () => {
      expect(await store.paths.enter(['/a'], Date.now() + 365 * day)).toBe('entered');
      await store.paths.leave(['/a']);
      await subject.advance(1000);
      expect(await store.paths.enter(['/a'], Date.now() + 1000)).toBe('entered');
    });

    it('gives two paths together, and blocks nobody who crosses them', async () => {
      const moves = Array.from({ length: 30 }, async (_, n) => {
        const client = n % 2 === 0 ? store : other;
        const paths = n % 3 === 0 ? ['/x', '/y'] : n % 3 === 1 ? ['/y', '/x'] : ['/y', '/z', '/y'];
        const entry = await client.paths.enter(paths, 1000);
        await client.retries.size();
        await client.paths.leave(paths);
        return entry;
      });
      expect(new Set(await Promise.all(moves))).toEqual(new Set(['entered']));
    });

    it('does not let one client leave for another', async () => {
      await store.paths.enter(['/a'], 1000);
      await other.paths.leave(['/a']);
      const waiting = other.paths.enter(['/a'], 1000);
      expect(await isWaiting(waiting, other)).toBe(true);
      await store.paths.leave(['/a']);
      expect(await waiting).toBe('entered');
    });

    it('reports what a client that is gone left behind before the path is free', async () => {
      await other.paths.enter(['/a'], 1000, '/tmp/.a.tmp');
      await other.paths.enter(['/b'], 1000, '/tmp/.b.tmp');
      await other.paths.leave(['/b']);
      const waiting = store.paths.enter(['/a'], 1000);
      await isWaiting(waiting, store);
      await other.close();
      expect(await waiting).toBe('entered');
      expect(await subject.abandoned()).toEqual(['/tmp/.a.tmp']);
    });

    it('tells who has a path that it is still theirs, and everybody else that it is not', async () => {
      await store.paths.enter(['/a', '/b'], 1000);
      await store.paths.confirm(['/a', '/b']);
      await expect(other.paths.confirm(['/a'])).rejects.toThrow('not ours any more');
      await store.paths.leave(['/a', '/b']);
      await expect(store.paths.confirm(['/b'])).rejects.toThrow('not ours any more');
    });

    it('leaves the line of a path when aborted', async () => {
      await store.paths.enter(['/a'], 1000);
      const stop = new AbortController();
      const waiting = other.paths.enter(['/a'], 1000, undefined, stop.signal);
      await isWaiting(waiting, other);
      stop.abort(new Error('stopped'));
      await expect(waiting).rejects.toThrow('stopped');
      await store.paths.leave(['/a']);
      expect(await store.paths.enter(['/a'], 1000)).toBe('entered');
    });

    it('lets the blocks of one file have its path together, and nobody else', async () => {
      const block = async (client: Store, instant: number) =>
        client.paths.enter(['/a'], instant, undefined, undefined, 'one');
      expect(await block(store, 1002)).toBe('entered');
      expect(await block(store, 1001)).toBe('entered');
      expect(await block(other, 1000)).toBe('entered');
      const whole = other.paths.enter(['/a'], 1003);
      expect(await isWaiting(whole, other)).toBe(true);
      // Not before what came between, or that would never have its turn.
      const late = block(store, 1004);
      expect(await isWaiting(late, store)).toBe(true);
      await store.paths.leave(['/a']);
      await store.paths.confirm(['/a']);
      await store.paths.leave(['/a']);
      await expect(store.paths.confirm(['/a'])).rejects.toThrow('not ours any more');
      expect(await isWaiting(whole, other)).toBe(true);
      await other.paths.leave(['/a']);
      expect(await whole).toBe('entered');
      expect(await isWaiting(late, store)).toBe(true);
      await other.paths.leave(['/a']);
      expect(await late).toBe('entered');
    });

    it('refuses late blocks of an older version, and none of the same', async () => {
      const block = async (party: string, instant: number) =>
        store.paths.enter(['/a'], instant, undefined, undefined, party);
      expect(await block('new', 2000)).toBe('entered');
      await store.paths.leave(['/a']);
      expect(await block('old', 1999)).toBe('superseded');
      expect(await block('new', 1500)).toBe('entered');
      await store.paths.leave(['/a']);
      expect(await store.paths.enter(['/a'], 1999)).toBe('superseded');
      expect(await store.paths.enter(['/a'], 2001)).toBe('entered');
      await store.paths.leave(['/a']);
      expect(await block('new', 1500)).toBe('superseded');
    });

    it('ends one of two that share paths, and the right one', async () => {
      const enter = async (paths: readonly string[]) =>
        store.paths.enter(paths, 1000, undefined, undefined, 'one');
      await enter(['/a', '/b']);
      await enter(['/b']);
      await store.paths.leave(['/b']);
      const a = other.paths.enter(['/a'], 1000);
      const b = other.paths.enter(['/b'], 1000);
      expect(await isWaiting(a, other)).toBe(true);
      expect(await isWaiting(b, other)).toBe(true);
      await store.paths.leave(['/a', '/b']);
      expect(await a).toBe('entered');
      expect(await b).toBe('entered');
    });

    it('lets a party go on together when the one between its items is gone', async () => {
      const block = async () => store.paths.enter(['/a'], 1000, undefined, undefined, 'one');
      await block();
      const stop = new AbortController();
      const between = other.paths.enter(['/a'], 1000, undefined, stop.signal);
      expect(await isWaiting(between, other)).toBe(true);
      const next = block();
      expect(await isWaiting(next, store)).toBe(true);
      stop.abort(new Error('stopped'));
      await expect(between).rejects.toThrow('stopped');
      expect(await next).toBe('entered');
    });
  });

  describe('bandwidth', () => {
    const perSecond = 100_000;

    it('gives all clients together no more than the rate, in proportion to what they ask for', async () => {
      const given = { much: 0, little: 0 };
      const start = performance.now();
      const take = async (who: keyof typeof given, from: Store, wanted: number): Promise<void> => {
        while (performance.now() - start < 1500) given[who] += await from.bandwidth.lease(perSecond, wanted);
      };
      await Promise.all([take('much', store, 9000), take('little', other, 3000)]);
      const seconds = (performance.now() - start) / 1000;
      // One second's worth may have been saved up.
      expect(given.much + given.little).toBeLessThanOrEqual((seconds + 1) * perSecond);
      expect(given.much).toBeGreaterThan(2 * given.little);
      expect(given.little).toBeGreaterThan(0);
    });

    it('leases a tenth of a second at once, at most', async () => {
      expect(await store.bandwidth.lease(perSecond, 1_000_000)).toBe(perSecond / 10);
      expect(await store.bandwidth.lease(perSecond, 5)).toBe(5);
    });

    it('goes on when the one whose turn it is has died or gone', async () => {
      const stop = new AbortController();
      const aborted = store.bandwidth.lease(0.01, 1, stop.signal);
      const dead = other.bandwidth.lease(0.01, 1);
      const ends = Promise.allSettled([aborted, dead]);
      await isWaiting(dead, other);
      const next = store.bandwidth.lease(1000, 1);
      await isWaiting(next, store);
      stop.abort(new Error('enough'));
      await other.close();
      expect(await next).toBe(1);
      expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    });
  });

  describe('usage', () => {
    it('keeps all clients below the limit together, and gives up what the dead had reserved', async () => {
      expect(await store.usage.take('alice', 60, 100)).toEqual({ isTaken: true, used: 0 });
      expect(await other.usage.take('alice', 60, 100)).toEqual({ isTaken: false, used: 60 });
      expect(await other.usage.take('alice', 40, 100)).toEqual({ isTaken: true, used: 60 });
      await store.usage.settle('alice', 60, 50);
      expect(await store.usage.take('alice', 10, 100)).toEqual({ isTaken: true, used: 90 });
      await store.usage.settle('alice', 10, -20);
      await other.close();
      expect(await store.usage.take('alice', 71, 100)).toEqual({ isTaken: false, used: 30 });
      expect(await store.usage.take('bob', 100, 100)).toEqual({ isTaken: true, used: 0 });
    });

    it('lets one client count, and adds what has changed meanwhile', async () => {
      expect(await store.usage.begin('alice', 1000)).toBe(true);
      expect(await other.usage.begin('alice', 1000)).toBe(false);
      await other.usage.settle('alice', 0, 7);
      await other.usage.counted('alice', 1_000_000);
      await store.usage.counted('alice', 100);
      expect((await store.usage.take('alice', 1, 1)).used).toBe(107);
      expect(await other.usage.begin('alice', 60_000)).toBe(false);
      expect(await other.usage.begin('alice', 0)).toBe(true);
      await other.close();
      expect(await store.usage.begin('alice', 0)).toBe(true);
    });

    it('lets somebody count again when a count has failed', async () => {
      expect(await store.usage.begin('alice', 0)).toBe(true);
      await other.usage.uncounted('alice');
      expect(await other.usage.begin('alice', 0)).toBe(false);
      await store.usage.uncounted('alice');
      expect(await other.usage.begin('alice', 0)).toBe(true);
    });
  });

  describe('retries', () => {
    it('hands back what was added, character for character', async () => {
      const added = retryOf('a', {
        contentType: 'text/plain',
        body: 'broken \ud800 text',
        paths: ['/a', '/b'],
      });
      await store.retries.add(added, 0);
      const [taken, ...more] = await store.retries.take(10);
      expect(more).toEqual([]);
      expect(taken).toEqual({ ...added, id: taken?.id, expired: false, superseded: false });
      expect(Object.keys(taken?.headers ?? {})).toContain('__proto__');
    });

    it('hands out what is due, oldest due first, and each to one only', async () => {
      const now = Date.now();
      await store.retries.add(retryOf('late'), now - 1000);
      await store.retries.add(retryOf('later'), now + 60_000);
      await other.retries.add(retryOf('early'), now - 3000);
      await store.retries.add(retryOf('middle'), now - 2000);
      const [one, two] = await Promise.all([store.retries.take(2), other.retries.take(10)]);
      expect([...one, ...two].map(({ headers, body }) => [headers['sum'], body.slice(-6)])).toEqual([
        ['d,abc', ' early'],
        ['d,abc', 'middle'],
        ['d,abc', '/ late'],
      ]);
      expect(await store.retries.take(10)).toEqual([]);
      expect(await store.retries.size()).toMatchObject({ waiting: 4, nextDue: now + 60_000 });
      await subject.advance(61_000);
      expect(await store.retries.take(10)).toHaveLength(1);
      expect(await store.retries.size()).toMatchObject({ waiting: 4, nextDue: undefined });
    });

    it('forgets what is done, and keeps what failed again until it is due', async () => {
      await store.retries.add(retryOf('a'), 0);
      await store.retries.add(retryOf('b'), 1);
      const [a, b] = await store.retries.take(2);
      await store.retries.done(a?.id ?? '');
      const notBefore = Date.now() + 30_000;
      await store.retries.again(b?.id ?? '', { notBefore, reason: 'timed out' });
      expect(await store.retries.size()).toMatchObject({ waiting: 1, nextDue: notBefore });
      expect(await store.retries.take(2)).toEqual([]);
      await subject.advance(31_000);
      const [again] = await other.retries.take(2);
      expect(again).toEqual({ ...b, tries: 2, reason: 'timed out' });
    });

    it('gives an untouched entry to the next who asks', async () => {
      await store.retries.add(retryOf('a'), 5);
      const [taken] = await store.retries.take(1);
      await store.retries.handBack(taken?.id ?? '');
      expect(await other.retries.take(1)).toEqual([taken]);
    });

    it('ignores what is said of an entry by one who has no lease on it', async () => {
      await store.retries.add(retryOf('a'), 5);
      const [taken] = await store.retries.take(1);
      const id = taken?.id ?? '';
      await other.retries.done(id);
      await other.retries.again(id, { notBefore: Date.now() + day, reason: 'no' });
      await other.retries.handBack(id);
      await other.retries.done('no such id');
      expect(await other.retries.take(1)).toEqual([]);
      await store.retries.handBack(id);
      expect(await other.retries.take(1)).toEqual([taken]);
    });

    it('voids the leases of a client that is gone', async () => {
      await store.retries.add(retryOf('a'), 5);
      const [taken] = await other.retries.take(1);
      expect(taken).toBeDefined();
      await other.close();
      await expect.poll(() => store.retries.take(1)).toEqual([taken]);
    });

    it('says that an entry is older than its time, as soon as it is', async () => {
      const firstFailure = Date.now();
      await store.retries.add(retryOf('a', { firstFailure }), firstFailure + 10 * retryTtl);
      expect(await store.retries.size()).toMatchObject({ waiting: 1, nextDue: firstFailure + retryTtl });
      await subject.advance(retryTtl + 1000);
      expect(await store.retries.take(1)).toMatchObject([{ expired: true }]);
    });

    it('marks older retries of a path when a newer event is taken in hand', async () => {
      await store.retries.add(retryOf('old', { paths: ['/a', '/z'], instant: 1000 }), 1);
      await store.retries.add(retryOf('same', { paths: ['/a'], instant: 2000 }), 2);
      await store.retries.add(retryOf('other', { paths: ['/b'], instant: 1000 }), 3);
      expect(await other.paths.enter(['/a'], 2000)).toBe('entered');
      const taken = await store.retries.take(10);
      expect(taken.map(({ superseded }) => superseded)).toEqual([true, false, false]);
    });

    it('takes no block for overtaken because of another block of its file', async () => {
      const block = (number: number, instant: number) =>
        retryOf(`block ${number}`, { paths: ['/a'], party: 'one', instant });
      await store.retries.add(block(1, 1000), 0);
      await store.retries.add(block(2, 3000), 0);
      expect(await store.paths.enter(['/a'], 2000, undefined, undefined, 'one')).toBe('entered');
      await store.paths.leave(['/a']);
      // Nor when it is added after a newer one was in hand.
      await store.retries.add(block(3, 1500), 0);
      const taken = await store.retries.take(5);
      expect(taken.map(({ superseded, party }) => [superseded, party])).toEqual([
        [false, 'one'],
        [false, 'one'],
        [false, 'one'],
      ]);
      for (const { id } of taken) await store.retries.handBack(id);
      expect(await store.paths.enter(['/a'], 2500, undefined, undefined, 'two')).toBe('superseded');
      expect(await store.paths.enter(['/a'], 4000, undefined, undefined, 'two')).toBe('entered');
      expect((await store.retries.take(5)).map(({ superseded }) => superseded)).toEqual([true, true, true]);
    });

    it('prefers a waiting retry that is newer, however long it has waited', async () => {
      await store.retries.add(retryOf('new', { paths: ['/a'], instant: 5000 }), 1);
      await subject.advance(3 * 3_600_000);
      expect(await other.paths.enter(['/a'], 4000)).toBe('superseded');
      expect(await other.paths.enter(['/a'], 5000)).toBe('entered');
      await other.paths.leave(['/a']);
      const [taken] = await store.retries.take(1);
      expect(taken?.superseded).toBe(false);
      await store.retries.done(taken?.id ?? '');
    });

    it('knows that a retry is too old when it is added', async () => {
      await store.paths.enter(['/a'], 9000);
      await store.retries.add(retryOf('old', { paths: ['/a'], instant: 1000 }), 1);
      expect(await store.retries.take(1)).toMatchObject([{ superseded: true }]);
    });

    it('does not believe a retry from the future for ever', async () => {
      await store.retries.add(retryOf('ahead', { paths: ['/a'], instant: Date.now() + 365 * day }), 1);
      await subject.advance(1000);
      expect(await store.paths.enter(['/a'], Date.now() + 500)).toBe('entered');
      expect(await store.retries.take(1)).toMatchObject([{ superseded: true }]);
    });
  });

  it('refuses a client that was closed, and those of it that wait', async () => {
    await store.seen.claim('k', 60_000);
    await store.paths.enter(['/a'], 1000);
    const waiting = [other.seen.claim('k', 60_000), other.paths.enter(['/a'], 1000)];
    for (const promise of waiting) await isWaiting(promise, other);
    await other.close();
    for (const promise of waiting) await expect(promise).rejects.toThrow(/closed/);
    await expect(other.retries.take(1)).rejects.toThrow(/closed/);
    await other.close();
  });
});
