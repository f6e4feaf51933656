import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BlockAnswer, BlockClaim, Store } from '../../src/store/store.js';
import { compiled, type Compiled } from '../store/compiled.js';
import { isWaiting, retryTtl, type Subject, subjects } from './store-subjects.js';

let programs: Compiled;
let directory: string;

beforeAll(async () => {
  programs = await compiled();
});
afterAll(async () => programs.remove());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'store-'));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const path = '/a';

/** Block of a file of 26 bytes in three blocks. */
const claimOf = (number: number, change: Partial<BlockClaim> = {}): BlockClaim => ({
  path,
  generation: 'one',
  number,
  count: 3,
  blockSize: 10,
  size: 26,
  sum: `d,${number}`,
  instant: 1000 + number,
  leftover: '/\n.a.tmp',
  ...change,
});

/** Block of a file that grows, `size` bytes long when it was announced. */
const grownOf = (number: number, size: number, change: Partial<BlockClaim> = {}): BlockClaim =>
  claimOf(number, {
    generation: 'growth',
    size,
    count: Math.ceil(size / 10),
    sum: `d,${number} of ${size}`,
    instant: 1000 + size,
    growing: 'on',
    ...change,
  });

const place = async (store: Store, claim: BlockClaim) => {
  expect(await store.assemblies.begin(claim)).toMatchObject({ kind: 'missing' });
  return store.assemblies.placed(path, claim.generation, claim.number);
};
const leave = async (store: Store, ...claims: readonly BlockClaim[]): Promise<void> => {
  for (const { generation, number } of claims) await store.assemblies.leave(path, generation, number);
};
const placeAll = async (store: Store, ...claims: readonly BlockClaim[]): Promise<void> => {
  for (const claim of claims) {
    await place(store, claim);
    await leave(store, claim);
  }
};

const present = { kind: 'present', leftover: '/\n.a.tmp' };
const whole = { complete: true, placed: 3, count: 3, size: 26, suspects: [] };
const waitingForOther = { ...whole, complete: false };

describe.each(Object.keys(subjects))('files in blocks, in a store %s', (kind) => {
  let subject: Subject;
  let store: Store;
  let other: Store;
  let third: Store;

  beforeEach(async () => {
    const open = subjects[kind];
    if (open === undefined) throw new Error(kind);
    subject = await open({ directory, programs });
    store = await subject.join();
    other = await subject.join();
    third = await subject.join();
  });
  afterEach(async () => {
    for (const one of [store, other, third]) await one.close();
    await subject.close();
  });

  it('are complete when all blocks are in their place, in any order, for one of those who bring them', async () => {
    expect(await place(store, claimOf(2))).toEqual({ ...whole, complete: false, placed: 1 });
    expect(await place(other, claimOf(0))).toEqual({ ...whole, complete: false, placed: 2 });
    await leave(other, claimOf(0));
    expect(await place(other, claimOf(1))).toEqual(whole);
    expect(await store.assemblies.begin(claimOf(0))).toEqual({ ...present, ...waitingForOther });
    await expect(store.assemblies.finished(path, 'one')).rejects.toThrow('not ours');
    await other.assemblies.finished(path, 'one');
    for (const number of [0, 1, 2]) await leave(store, claimOf(number));
    await leave(other, claimOf(1));
    for (const number of [0, 1, 2])
      expect(await third.assemblies.begin(claimOf(number))).toEqual({ kind: 'finished' });
    expect(await subject.abandoned()).toEqual([]);
  });

  it('count a block once, however often it is said to be in its place', async () => {
    await place(store, claimOf(0));
    for (let time = 0; time < 3; time += 1)
      expect(await store.assemblies.placed(path, 'one', 0)).toMatchObject({ complete: false, placed: 1 });
  });

  it('let one have a block in hand, and the next find it in its place', async () => {
    await store.assemblies.begin(claimOf(0));
    const same = store.assemblies.begin(claimOf(0));
    const next = other.assemblies.begin(claimOf(0));
    expect(await isWaiting(next, other)).toBe(true);
    expect(await isWaiting(same, store)).toBe(true);
    expect(await other.assemblies.begin(claimOf(1))).toMatchObject({ kind: 'missing' });
    await expect(other.assemblies.placed(path, 'one', 0)).rejects.toThrow('not ours');
    await other.assemblies.leave(path, 'one', 0);
    await store.assemblies.leave(path, 'one', 0);
    expect(await same).toMatchObject({ kind: 'missing' });
    await store.assemblies.placed(path, 'one', 0);
    expect(await isWaiting(next, other)).toBe(true);
    await store.assemblies.leave(path, 'one', 0);
    expect(await next).toMatchObject({ kind: 'present', placed: 1 });
  });

  it('give the completion to the next when the one who had it has failed or died', async () => {
    await placeAll(store, claimOf(0), claimOf(1));
    expect(await place(store, claimOf(2))).toEqual(whole);
    const again = other.assemblies.begin(claimOf(2));
    expect(await isWaiting(again, other)).toBe(true);
    await leave(store, claimOf(2));
    expect(await again).toEqual({ ...present, ...whole });
    expect(await third.assemblies.begin(claimOf(0))).toEqual({ ...present, ...waitingForOther });
    await leave(third, claimOf(0));
    await other.close();
    expect(await third.assemblies.begin(claimOf(0))).toEqual({ ...present, ...whole });
    await third.assemblies.finished(path, 'one');
    expect(await store.assemblies.begin(claimOf(2))).toEqual({ kind: 'finished' });
  });

  it('have blocks looked at again whose writer has died, when they are complete', async () => {
    await placeAll(store, claimOf(0));
    await other.assemblies.begin(claimOf(1));
    const next = store.assemblies.begin(claimOf(1));
    await isWaiting(next, store);
    await other.close();
    expect(await next).toMatchObject({ kind: 'missing' });
    expect(await store.assemblies.placed(path, 'one', 1)).toMatchObject({ complete: false, suspects: [] });
    await leave(store, claimOf(1));
    const suspects = [{ number: 1, sum: 'd,1' }];
    expect(await place(store, claimOf(2))).toEqual({ ...whole, suspects });
    await store.assemblies.finished(path, 'one');
    await leave(store, claimOf(2));
    const later = { generation: 'two', instant: 5000 };
    await placeAll(store, claimOf(0, later), claimOf(1, later));
    expect(await place(store, claimOf(2, later))).toEqual(whole);
  });

  it('begin anew with a newer content of a block, when nobody writes to the older any more', async () => {
    await placeAll(store, claimOf(0));
    await store.assemblies.begin(claimOf(1));
    const changed = claimOf(0, { sum: 'd,changed', instant: 2000 });
    const next = other.assemblies.begin(changed);
    expect(await isWaiting(next, other)).toBe(true);
    // What comes behind it waits, or it would wait for ever.
    const behind = third.assemblies.begin(claimOf(2));
    expect(await isWaiting(behind, third)).toBe(true);
    await store.assemblies.placed(path, 'one', 1);
    await leave(store, claimOf(1));
    expect(await next).toMatchObject({ kind: 'missing' });
    expect(await other.assemblies.placed(path, 'one', 0)).toMatchObject({ placed: 1 });
    await leave(other, changed);
    expect(await store.assemblies.begin(claimOf(0))).toEqual({ kind: 'superseded' });
    expect(await behind).toMatchObject({ kind: 'missing' });
    // It is written into the same file.
    expect(await subject.abandoned()).toEqual([]);
  });

  it('begin anew when what was installed is announced again, and know what is only delivered again', async () => {
    await placeAll(store, claimOf(0), claimOf(1));
    await place(store, claimOf(2, { instant: Date.now() + 60_000 }));
    await store.assemblies.finished(path, 'one');
    await leave(store, claimOf(2));
    await subject.advance(10_000);
    const again = claimOf(2, { instant: Date.now() + 60_000 });
    expect(await store.assemblies.begin({ ...again, instant: again.instant - 30_000 })).toEqual({
      kind: 'finished',
    });
    expect(await store.assemblies.begin(again)).toMatchObject({ kind: 'missing' });
    expect(await store.assemblies.placed(path, 'one', 2)).toMatchObject({ placed: 1 });
  });

  it('give up an older version, and its file, before the newer one begins', async () => {
    await placeAll(store, claimOf(0));
    await other.assemblies.begin(claimOf(1));
    const newer = claimOf(0, { generation: 'two', instant: 2000, leftover: '/\n.b.tmp' });
    const next = store.assemblies.begin(newer);
    expect(await isWaiting(next, store)).toBe(true);
    expect(await subject.abandoned()).toEqual([]);
    await leave(other, claimOf(1));
    expect(await next).toMatchObject({ kind: 'missing' });
    expect(await subject.abandoned()).toEqual(['/\n.a.tmp']);
    expect(await other.assemblies.begin(claimOf(2))).toEqual({ kind: 'superseded' });
  });

  it('are given up when something newer enters their path, and not by what is older', async () => {
    const enter = async (instant: number, party?: string) => {
      const entry = await other.paths.enter([path], instant, undefined, undefined, party);
      if (entry === 'entered') await other.paths.leave([path]);
      return entry;
    };
    await placeAll(store, claimOf(0), claimOf(1));
    expect(await enter(1000)).toBe('superseded');
    expect(await enter(1000, 'another')).toBe('superseded');
    expect(await enter(1000, 'one')).toBe('entered');
    expect(await subject.abandoned()).toEqual([]);
    expect(await enter(1002)).toBe('entered');
    expect(await subject.abandoned()).toEqual(['/\n.a.tmp']);
    expect(await enter(1001, 'one')).toBe('superseded');
    expect(await place(store, claimOf(2))).toMatchObject({ placed: 1 });
  });

  it('go on gathering where they began to, whatever is said of that since', async () => {
    await placeAll(store, claimOf(0), claimOf(1));
    const elsewhere = claimOf(2, { leftover: '/\n.other' });
    const there = { leftover: '/\n.a.tmp' };
    expect(await store.assemblies.begin(elsewhere)).toEqual({ kind: 'missing', ...there });
    expect(await store.assemblies.placed(path, 'one', 2)).toEqual(whole);
    await leave(store, elsewhere);
    expect(await store.assemblies.begin(elsewhere)).toMatchObject({ kind: 'present', ...there });
    expect(await subject.abandoned()).toEqual([]);
  });

  it.each([
    ['the target', ''],
    ['another tree', '/elsewhere\n.a.tmp'],
  ])(
    'are all looked for again, and their file is given up, when they are to gather in %s',
    async (_, leftover) => {
      await placeAll(store, claimOf(0), claimOf(1));
      const moved = claimOf(2, { leftover });
      expect(await store.assemblies.begin(moved)).toEqual({ kind: 'missing', leftover });
      expect(await subject.abandoned()).toEqual(['/\n.a.tmp']);
      expect(await store.assemblies.placed(path, 'one', 2)).toEqual({
        ...whole,
        suspects: [0, 1].map((number) => ({ number, sum: `d,${number}` })),
      });
    },
  );

  it('are written to a file that one of them makes, while the others wait', async () => {
    for (const [n, one] of [store, other, third].entries()) await one.assemblies.begin(claimOf(n));
    expect(await store.assemblies.doubt(path, 'one', 0)).toBe(true);
    expect(await other.assemblies.doubt(path, 'one', 1)).toBe(false);
    await expect(other.assemblies.made(path, 'one', 0)).rejects.toThrow('not ours');
    await other.assemblies.made(path, 'one', 1);
    expect(await other.assemblies.doubt(path, 'one', 1)).toBe(false);
    await store.assemblies.made(path, 'one', 0);
    // It has looked before that was there.
    expect(await other.assemblies.doubt(path, 'one', 1)).toBe(false);
    for (const [n, one] of [store, other, third].entries()) await one.assemblies.placed(path, 'one', n);
    // Of a new file nothing can have been lost.
    expect(await third.assemblies.placed(path, 'one', 2)).toEqual(whole);
  });

  it('are suspect when the file is gone in which they were, or to which they are being written', async () => {
    await placeAll(store, claimOf(0));
    await store.assemblies.begin(claimOf(1));
    await other.assemblies.begin(claimOf(2));
    expect(await other.assemblies.doubt(path, 'one', 2)).toBe(true);
    await other.assemblies.made(path, 'one', 2);
    await store.assemblies.placed(path, 'one', 1);
    await leave(store, claimOf(1));
    const suspects = [0, 1].map((number) => ({ number, sum: `d,${number}` }));
    expect(await other.assemblies.placed(path, 'one', 2)).toEqual({ ...whole, suspects });
    // Whoever makes the file of them may find it gone as well, and what it has brought itself with it.
    expect(await other.assemblies.doubt(path, 'one', 2)).toBe(true);
    await other.assemblies.made(path, 'one', 2);
    suspects.push({ number: 2, sum: 'd,2' });
    expect(await other.assemblies.placed(path, 'one', 2)).toEqual({ ...whole, suspects });
  });

  it('let the next one make the file when who was to make it has died', async () => {
    await placeAll(third, claimOf(0));
    await store.assemblies.begin(claimOf(1));
    await other.assemblies.begin(claimOf(2));
    expect(await store.assemblies.doubt(path, 'one', 1)).toBe(true);
    expect(await other.assemblies.doubt(path, 'one', 2)).toBe(false);
    await store.close();
    expect(await other.assemblies.doubt(path, 'one', 2)).toBe(true);
  });

  it('are missing again when they cannot be had, and complete when they have come', async () => {
    await placeAll(store, claimOf(0), claimOf(1));
    await place(store, claimOf(2));
    await expect(other.assemblies.lack(path, 'one', [0], 'gone')).rejects.toThrow('not ours');
    expect(await store.assemblies.unfinished()).toBe(1);
    await store.assemblies.lack(path, 'one', [0, 1], 'gone');
    expect(await store.assemblies.placed(path, 'one', 2)).toMatchObject({ complete: false, placed: 1 });
    await leave(store, claimOf(2));
    await placeAll(other, claimOf(1));
    expect(await place(third, claimOf(0))).toEqual(whole);
    await third.assemblies.finished(path, 'one');
    expect(await store.assemblies.unfinished()).toBe(0);
  });

  it('tell the next one that the file was about to be installed, until that is taken back', async () => {
    await placeAll(store, claimOf(0), claimOf(1));
    await place(store, claimOf(2));
    await expect(other.assemblies.installing(path, 'one', 'note')).rejects.toThrow('not ours');
    await store.assemblies.installing(path, 'one', 'note');
    await store.close();
    const noted = { ...whole, installing: 'note' };
    expect(await other.assemblies.begin(claimOf(2))).toEqual({ ...present, ...noted });
    await other.assemblies.installing(path, 'one', undefined);
    expect(await other.assemblies.placed(path, 'one', 2)).toEqual(whole);
    await other.assemblies.installing(path, 'one', '');
    await other.assemblies.finished(path, 'one');
  });

  it('come together whatever their clock says', async () => {
    const early = { instant: -86_400_000 };
    await placeAll(store, claimOf(0, early), claimOf(1, { instant: Date.now() + 86_400_000 }));
    expect(await place(store, claimOf(2, early))).toEqual(whole);
    await store.assemblies.finished(path, 'one');
  });

  it('agree on one of two contents that were announced at one time', async () => {
    const contents = ['a', 'b'].map((name) =>
      [0, 1, 2].map((n) => claimOf(n, { sum: `d,${name}`, instant: 1000 })),
    );
    const [older = [], newer = []] = contents;
    await placeAll(store, ...older.slice(0, 2));
    for (const claim of newer.slice(0, 2)) await placeAll(store, claim);
    expect(await store.assemblies.begin(older[0] ?? claimOf(0))).toEqual({ kind: 'superseded' });
    expect(await place(store, newer[2] ?? claimOf(2))).toEqual(whole);
  });

  it('expire when nobody goes on with them, and their file with them', async () => {
    await placeAll(store, claimOf(0));
    await store.assemblies.begin(claimOf(1));
    await subject.advance(2 * retryTtl);
    expect(await subject.abandoned()).toEqual([]);
    await leave(store, claimOf(1));
    await subject.advance(retryTtl / 2);
    await placeAll(store, claimOf(1));
    await subject.advance(retryTtl - 1000);
    expect(await subject.abandoned()).toEqual([]);
    expect(await place(store, claimOf(2))).toEqual(whole);
    await leave(store, claimOf(2));
    await subject.advance(retryTtl + 1000);
    expect(await subject.abandoned()).toEqual(['/\n.a.tmp']);
    expect(await store.assemblies.begin(claimOf(0))).toMatchObject({ kind: 'missing' });
  });

  it('leave the line when aborted, and hold nothing when that crosses the answer', async () => {
    await store.assemblies.begin(claimOf(0));
    const stop = new AbortController();
    const waiting = other.assemblies.begin(claimOf(0), stop.signal);
    const crossing = other.assemblies.begin(claimOf(1), stop.signal);
    await isWaiting(waiting, other);
    const granted = other.assemblies.begin(claimOf(2), stop.signal);
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    await crossing;
    await expect(granted).rejects.toThrow('stopped');
    expect(await third.assemblies.begin(claimOf(2))).toMatchObject({ kind: 'missing' });
    await leave(store, claimOf(0));
    expect(await third.assemblies.begin(claimOf(0))).toMatchObject({ kind: 'missing' });
    expect(await isWaiting(third.assemblies.begin(claimOf(1)), third)).toBe(true);
  });

  it.each([
    { count: 1_000_001, size: 10_000_005 },
    { number: 3 },
    { number: -1 },
    { number: 0.5 },
    { count: 0, number: 0 },
    { size: 20 },
    { size: 31 },
    { blockSize: 0 },
    { instant: 1e400 },
  ])('refuse what is no block: %j', async (change) => {
    await expect(store.assemblies.begin(claimOf(0, change))).rejects.toThrow();
    expect(await store.assemblies.begin(claimOf(0))).toMatchObject({ kind: 'missing' });
  });

  describe('that grow', () => {
    it('are complete when the end was announced, with all blocks as they were announced last', async () => {
      await placeAll(store, grownOf(0, 14), grownOf(1, 14));
      await placeAll(store, grownOf(2, 25));
      // The second block was announced again when it was full.
      expect(await place(store, grownOf(1, 25))).toMatchObject({ complete: false, placed: 3, size: 25 });
      await leave(store, grownOf(1, 25));
      const last = grownOf(2, 25, { growing: 'ended', instant: 1100 });
      const end: BlockAnswer = {
        kind: 'present',
        leftover: '/\n.a.tmp',
        complete: true,
        placed: 3,
        count: 3,
        size: 25,
        suspects: [],
      };
      expect(await store.assemblies.begin(last)).toEqual(end);
      await store.assemblies.finished(path, 'growth');
      expect(await other.assemblies.begin(grownOf(0, 14))).toEqual({ kind: 'finished' });
    });

    it('miss a block whose newer content has not come, also when the end came first', async () => {
      const last = grownOf(2, 25, { growing: 'ended' });
      await placeAll(store, last, grownOf(0, 14));
      expect(await store.assemblies.begin(grownOf(1, 14))).toEqual({ kind: 'superseded' });
      expect(await store.assemblies.begin(grownOf(1, 20))).toMatchObject({ kind: 'missing' });
      expect(await store.assemblies.placed(path, 'growth', 1)).toMatchObject({ complete: true, size: 25 });
    });

    it('keep the newest content of a block, whatever comes late', async () => {
      await placeAll(store, grownOf(0, 7));
      await placeAll(store, grownOf(0, 9));
      expect(await store.assemblies.begin(grownOf(0, 7))).toEqual({ kind: 'superseded' });
      const again = grownOf(0, 9, { sum: 'd,rewritten', instant: 1010 });
      expect(await place(store, again)).toMatchObject({ placed: 1 });
      await leave(store, again);
      expect(await store.assemblies.begin(grownOf(0, 9))).toEqual({ kind: 'superseded' });
      // Not an end while what was written late in the first length counts for nothing.
      const late = grownOf(1, 14);
      await store.assemblies.begin(late);
      await placeAll(other, grownOf(2, 21, { growing: 'ended', instant: 3000 }));
      expect(await store.assemblies.placed(path, 'growth', 1)).toMatchObject({ complete: false, placed: 1 });
      await leave(store, late);
      await placeAll(store, grownOf(0, 21, { instant: 2998 }));
      expect(await place(store, grownOf(1, 21, { instant: 2999 }))).toMatchObject({ complete: true });
    });

    it('begin anew when they grow after their end, when nobody installs what there was any more', async () => {
      await placeAll(store, grownOf(0, 14));
      const end = grownOf(1, 14, { growing: 'ended', instant: 1100 });
      expect(await place(store, end)).toMatchObject({ complete: true });
      // The target may have it now: nothing may be written to where the blocks were.
      const more = (number: number) => grownOf(number, 25, { instant: 1200 });
      const next = other.assemblies.begin(more(1));
      expect(await isWaiting(next, other)).toBe(true);
      await store.assemblies.finished(path, 'growth');
      await leave(store, end);
      expect(await next).toMatchObject({ kind: 'missing' });
      expect(await other.assemblies.placed(path, 'growth', 1)).toMatchObject({ complete: false, placed: 1 });
      await leave(other, more(1));
      await placeAll(other, more(2), more(0));
      const last = grownOf(2, 25, { growing: 'ended', instant: 1300 });
      expect(await other.assemblies.begin(last)).toMatchObject({ kind: 'present', complete: true, size: 25 });
    });

    it('begin anew when they grow after their end, and who was to install them has died', async () => {
      await placeAll(store, grownOf(0, 14));
      const end = grownOf(1, 14, { growing: 'ended', instant: 1100 });
      expect(await place(store, end)).toMatchObject({ complete: true });
      await store.close();
      const again = (number: number) => grownOf(number, 14, { instant: 1200 });
      expect(await place(other, again(1))).toMatchObject({ complete: false, placed: 1 });
      await leave(other, again(1));
      // What is delivered again of the end belongs to what is given up.
      expect(await third.assemblies.begin(end)).toEqual({ kind: 'superseded' });
      await placeAll(other, again(0));
      const last = grownOf(1, 14, { growing: 'ended', instant: 1300 });
      expect(await other.assemblies.begin(last)).toMatchObject({ kind: 'present', complete: true });
    });

    it('begin anew when they become shorter', async () => {
      await placeAll(store, grownOf(0, 14), grownOf(1, 14));
      expect(await place(store, grownOf(0, 8, { instant: 2000 }))).toMatchObject({
        placed: 1,
        count: 1,
        size: 8,
      });
    });
  });
});
