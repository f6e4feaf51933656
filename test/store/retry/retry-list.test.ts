import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../../../src/store/level-store.js';
import { createMemoryStore } from '../../../src/store/memory-store.js';
import type { OwnedStore, OwnedStoreOptions } from '../../../src/store/owned-store.js';
import { becomeOwner } from '../../../src/store/owner/owner.js';
import { connectStore } from '../../../src/store/owner/remote-store.js';
import type { DueRetry, Retry, ReviewPage, ReviewRequest, Store } from '../../../src/store/store.js';

const hour = 3_600_000;
let now = 1_700_000_000_000;
let directory: string;
const opened: OwnedStore[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'retry-list-'));
});
afterEach(async () => {
  for (const owned of opened.splice(0)) await owned.close();
  await rm(directory, { recursive: true, force: true });
});

const kinds: Readonly<Record<string, (options: OwnedStoreOptions) => Promise<OwnedStore | undefined>>> = {
  'in memory': createMemoryStore,
  'on LevelDB': (options) => openLevelStore(directory, options),
};

const retryOf = (name: string, change: Partial<Retry> = {}): Omit<Retry, 'id'> => ({
  exchange: 'xpublic',
  topic: 'v02.post.a',
  headers: { sum: '0,1', parts: '1,1,1,0,0' },
  body: `20231114221320.000 http://Data.example:8080/ a/${name}.txt`,
  contentType: 'text/plain',
  paths: [`/data/a/${name}.txt`],
  instant: 1_000_000,
  firstFailure: now,
  tries: 1,
  reason: 'answered 503',
  ...change,
});

const namesOf = (taken: readonly Pick<DueRetry, 'body'>[]): readonly string[] =>
  taken.map(({ body }) => /a\/(.*)\.txt/.exec(body)?.[1] ?? body);

const look: ReviewRequest = { deed: 'look', filter: {}, limit: 1000 };

async function reviewAll({ retries }: Store, request: ReviewRequest): Promise<readonly ReviewPage[]> {
  const pages: ReviewPage[] = [];
  let after: string | undefined;
  do {
    const page = await retries.review({ ...request, after });
    pages.push(page);
    after = page.next;
  } while (after !== undefined);
  return pages;
}

describe.each(Object.keys(kinds))('the retry list %s', (kind) => {
  const open = async (options: OwnedStoreOptions = {}): Promise<Store> => {
    const owned = await kinds[kind]?.({ now: () => now, retryTtl: hour, ...options });
    if (owned === undefined) throw new Error('locked');
    opened.push(owned);
    return owned.join('test');
  };

  it.each(['oldest', 'newest'] as const)(
    'hands out nothing that is moved while it looks for the %s, and counts right',
    async (retryOrder) => {
      for (let turns = 0; turns < 25; turns += 1) {
        const { retries, close } = await open({ retryOrder });
        await retries.add(retryOf('one'), now);
        const taking = retries.take(9);
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
        await retries.add(retryOf('one'), now + 5000);
        for (const { id } of await taking) await retries.done(id);
        now += 5000;
        for (const { id } of await retries.take(9)) await retries.done(id);
        expect(await retries.take(9)).toEqual([]);
        expect(await retries.size()).toMatchObject({ waiting: 0 });
        await close();
        for (const owned of opened.splice(0)) await owned.close();
      }
    },
  );

  it('hands out the newest of what is due first, when asked to', async () => {
    const { retries } = await open({ retryOrder: 'newest' });
    for (const [name, due] of Object.entries({ one: 5, two: 1, three: 3, later: 60_000, four: 2 }))
      await retries.add(retryOf(name), now + due);
    now += 10;
    expect(namesOf(await retries.take(2))).toEqual(['four', 'three']);
    // What comes later and what failed again take their turns by age, too.
    await retries.add(retryOf('five'), now);
    expect(namesOf(await retries.take(1))).toEqual(['five']);
    expect(namesOf(await retries.take(9))).toEqual(['two', 'one']);
    now += 60_000;
    expect(namesOf(await retries.take(9))).toEqual(['later']);
    expect(await retries.size()).toMatchObject({ waiting: 6, nextDue: undefined });
  });

  it('ends what is too old in time, however much that is newer is due', async () => {
    const { retries } = await open({ retryOrder: 'newest' });
    await retries.add(retryOf('old'), now + 1);
    now += 10;
    for (let n = 0; n < 20; n += 1) await retries.add(retryOf(`n${n}`), now);
    const first = await retries.take(5);
    expect(namesOf(first)).toEqual(['n19', 'n18', 'n17', 'n16', 'n15']);
    now += hour - 10;
    const [expired, ...others] = await retries.take(3);
    expect(namesOf(expired === undefined ? [] : [expired])).toEqual(['old']);
    expect(expired?.expired).toBe(true);
    expect(namesOf(others)).toEqual(['n14', 'n13']);
  });

  it('keeps what failed again until it is due, and what is given back, newest first', async () => {
    const { retries } = await open({ retryOrder: 'newest' });
    for (const name of ['one', 'two', 'three']) await retries.add(retryOf(name), now);
    const [three, two] = await retries.take(2);
    await retries.again(three?.id ?? '', { notBefore: now + 1000, reason: 'again' });
    await retries.handBack(two?.id ?? '');
    expect(namesOf(await retries.take(9))).toEqual(['two', 'one']);
    now += 1000;
    expect(await retries.take(9)).toMatchObject([{ tries: 2, reason: 'again' }]);
  });

  it('is one entry for a message that fails, is delivered again and fails again', async () => {
    const store = await open();
    const { retries } = store;
    await retries.add(retryOf('same'), now);
    const since = now;
    now += 100;
    await retries.add(retryOf('same', { reason: 'later' }), now + 500);
    await retries.add(retryOf('same', { headers: { sum: '0,1', parts: 'i,1,2,0,1' } }), now);
    expect((await retries.size()).waiting).toBe(2);
    const [block, ...none] = await retries.take(5);
    expect(none).toEqual([]);
    expect(block?.headers['parts']).toBe('i,1,2,0,1');
    now += 500;
    const [merged] = await retries.take(5);
    expect(merged).toMatchObject({ tries: 2, reason: 'later', firstFailure: since });
    // In hand: whoever has it decides about it.
    await retries.add(retryOf('same', { reason: 'much later' }), now);
    expect(await retries.take(5)).toEqual([]);
    for (const id of [block?.id, merged?.id]) await retries.done(id ?? '');
    expect(await retries.size()).toEqual({ waiting: 0, nextDue: undefined, oldest: undefined });
    await retries.add(retryOf('same'), now);
    expect(await retries.take(5)).toMatchObject([{ tries: 1, reason: 'answered 503' }]);
  });

  it('forgets an entry whose message came once more and ended, unless somebody has it in hand', async () => {
    const { retries } = await open();
    for (const name of ['one', 'two', 'three']) await retries.add(retryOf(name), now + 500);
    await retries.add(retryOf('held'), now);
    const [held] = await retries.take(1);
    for (const name of ['one', 'held', 'never there']) await retries.ended(retryOf(name));
    expect((await retries.size()).waiting).toBe(3);
    await retries.handBack(held?.id ?? '');
    now += 500;
    expect([...namesOf(await retries.take(9))].sort()).toEqual(['held', 'three', 'two']);
    await retries.add(retryOf('one'), now);
    expect(await retries.take(9)).toMatchObject([{ tries: 1 }]);
  });

  it('tells its size, when the next is due and since when the oldest fails', async () => {
    const { retries } = await open();
    const oldest = now;
    await retries.add(retryOf('one'), now + 500);
    now += 100;
    await retries.add(retryOf('two'), now + 100);
    expect(await retries.size()).toEqual({ waiting: 2, nextDue: now + 100, oldest });
  });

  it('is looked through in bounded steps, and nothing is changed by that', async () => {
    const store = await open();
    const { retries } = store;
    await Promise.all(Array.from({ length: 1200 }, (_, n) => retries.add(retryOf(`n${n}`), now + 60_000)));
    const pages = await reviewAll(store, look);
    expect(pages.length).toBeGreaterThan(1);
    for (const { examined } of pages) expect(examined).toBeLessThanOrEqual(500);
    const entries = pages.flatMap((page) => page.entries);
    expect(namesOf(entries)).toEqual(Array.from({ length: 1200 }, (_, n) => `n${n}`));
    expect(entries[0]).toMatchObject({
      baseUrl: 'http://Data.example:8080/',
      relPath: 'a/n0.txt',
      due: now + 60_000,
      tries: 1,
      dropped: undefined,
    });
    expect((await retries.review({ ...look, limit: 7 })).entries).toHaveLength(7);
    expect(await retries.take(5)).toEqual([]);
  });

  it('finds entries by path, host and age', async () => {
    const store = await open();
    await store.retries.add(retryOf('old'), now);
    now += 1000;
    await store.retries.add(
      retryOf('b/young', { body: '20231114221320.000 http://other/ /a/b/yo%20ung.txt' }),
      now,
    );
    const found = async (filter: ReviewRequest['filter']): Promise<number> =>
      (await store.retries.review({ ...look, filter })).matched;
    expect(await found({ path: 'a/old.txt' })).toBe(1);
    expect(await found({ path: '/a/old.txt' })).toBe(1);
    expect(await found({ path: '/data/*' })).toBe(2);
    expect(await found({ path: '*/yo ung.???' })).toBe(1);
    expect(await found({ path: 'old' })).toBe(0);
    expect(await found({ host: 'DATA.example' })).toBe(1);
    expect(await found({ host: 'example' })).toBe(0);
    expect(await found({ failingSince: now - 1000 })).toBe(1);
    expect(await found({ failingSince: now - 1001 })).toBe(0);
    expect(await found({ path: '*', host: 'other', failingSince: now })).toBe(1);
  });

  it.each(['oldest', 'newest'] as const)('drops and requeues, %s first', async (retryOrder) => {
    const store = await open({ retryOrder });
    const { retries } = store;
    for (const name of ['x1', 'x2', 'y1', 'y2']) await retries.add(retryOf(name), now + 60_000);
    await retries.add(retryOf('held'), now);
    const [held] = await retries.take(1);
    const drop: ReviewRequest = { deed: 'drop', filter: { path: '*x?.txt' }, limit: 99, text: 'enough' };
    expect(await retries.review(drop)).toMatchObject({ matched: 2, examined: 5, entries: [] });
    expect(await retries.review({ ...drop, filter: { path: '*held*' } })).toMatchObject({ matched: 1 });
    const requeue: ReviewRequest = { deed: 'requeue', filter: { path: '*y2.txt' }, limit: 99 };
    expect(await retries.review(requeue)).toMatchObject({ matched: 1 });
    const due = await retries.take(9);
    expect(namesOf(due)).toEqual(['x1', 'x2', 'y2']);
    expect(due.map(({ dropped }) => dropped)).toEqual(['enough', 'enough', undefined]);
    // One that was in hand when it was dropped is not tried again.
    await retries.again(held?.id ?? '', { notBefore: now + 60_000, reason: 'again' });
    expect(await retries.take(9)).toMatchObject([{ dropped: 'enough', tries: 2 }]);
    // Taken back.
    for (const { id } of due) await retries.handBack(id);
    await retries.review({ ...requeue, filter: { path: '*x1.txt' } });
    const again = await retries.take(9);
    expect(again.find(({ dropped }) => dropped === undefined && again.length > 0)).toBeDefined();
    expect(namesOf(again.filter(({ dropped }) => dropped !== undefined))).toEqual(['x2']);
    expect((await retries.size()).waiting).toBe(5);
  });
});

describe('a retry list on disk', () => {
  it('takes what was sorted for another order', async () => {
    for (const [retryOrder, names] of [
      ['newest', ['three']],
      ['oldest', ['one', 'two']],
      ['newest', ['five', 'four']],
    ] as const) {
      const owned = await openLevelStore(directory, { now: () => now, retryOrder });
      const retries = owned?.join('test').retries;
      const first =
        names[0] === 'three' ? ['one', 'two', 'three'] : names[0] === 'five' ? ['four', 'five'] : [];
      for (const name of first) await retries?.add(retryOf(name), now);
      const taken = (await retries?.take(names.length)) ?? [];
      expect(namesOf(taken)).toEqual(names);
      for (const { id } of taken) await retries?.done(id);
      await owned?.close();
    }
  });

  it('leaves nothing of what is done', async () => {
    const owned = await openLevelStore(directory, { now: () => now, retryOrder: 'newest' });
    const retries = owned?.join('test').retries;
    for (let n = 0; n < 50; n += 1) await retries?.add(retryOf(`n${n}`), now);
    await retries?.review({ deed: 'drop', filter: { path: '*1.txt' }, limit: 50 });
    for (const { id } of (await retries?.take(50)) ?? []) await retries?.done(id);
    await owned?.close();
    const { ClassicLevel } = await import('classic-level');
    const level = new ClassicLevel<Buffer, Buffer>(directory, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    });
    // The count.
    const letters = new Set<string>();
    for await (const key of level.keys()) letters.add(String.fromCharCode(key[0] ?? 0));
    await level.close();
    expect([...letters].sort()).toEqual(['N']);
  });

  it('answers a client of another process', async () => {
    const owner = await becomeOwner(directory, { now: () => now, retryOrder: 'newest' });
    const client = await connectStore(directory);
    for (const name of ['one', 'two']) await client.retries.add(retryOf(name), now);
    const page = await client.retries.review({ ...look, limit: 1 });
    expect(page).toMatchObject({
      matched: 1,
      examined: 1,
      entries: [{ relPath: 'a/one.txt', dropped: undefined }],
    });
    expect(await client.retries.review({ ...look, after: page.next })).toMatchObject({
      matched: 1,
      next: undefined,
    });
    const wrong = { deed: 'burn', filter: {}, limit: 1 } as unknown as ReviewRequest;
    await expect(client.retries.review(wrong)).rejects.toMatchObject({ name: 'PermanentError' });
    await client.retries.add(retryOf('three'), now);
    await client.retries.ended(retryOf('three'));
    expect(namesOf(await client.retries.take(9))).toEqual(['two', 'one']);
    expect((await client.retries.size()).oldest).toBe(now);
    await client.close();
    await owner?.close();
  });
});
