import { expect, it } from 'vitest';
import { openMemoryEngine } from '../../src/store/engine/memory-engine.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { openOwnedStore } from '../../src/store/owned-store.js';

const hour = 3_600_000;

it('has a file removed when its time is over, once, and not before', async () => {
  let now = 1000 * hour;
  const removed: string[] = [];
  const owned = await createMemoryStore({
    now: () => now,
    abandoned: async (file) => void removed.push(file),
  });
  const { keptFiles } = owned.join('one');
  await keptFiles.keep('/root\na', now + hour);
  await keptFiles.keep('/root\nb', now + 2 * hour);
  // Fetched again: its time begins anew.
  await keptFiles.keep('/root\na', now + 3 * hour);
  await owned.expire();
  expect(removed).toEqual([]);
  now += hour + 1;
  await owned.expire();
  expect(removed).toEqual([]);
  now += hour;
  await owned.expire();
  expect(removed).toEqual(['/root\nb']);
  now += hour;
  await owned.expire();
  await owned.expire();
  expect(removed).toEqual(['/root\nb', '/root\na']);
  await owned.close();
});

it('goes on keeping what is fetched again while its older copy is removed', async () => {
  let now = 1000 * hour;
  const removed: string[] = [];
  const owned = await createMemoryStore({
    now: () => now,
    abandoned: async (file) => {
      removed.push(file);
      if (removed.length === 1) await keptFiles.keep(file, now + hour);
    },
  });
  const { keptFiles } = owned.join('one');
  await keptFiles.keep('/root\na', now + hour);
  now += hour + 1;
  await owned.expire();
  expect(removed).toEqual(['/root\na']);
  now += hour + 1;
  await owned.expire();
  expect(removed).toEqual(['/root\na', '/root\na']);
  await owned.close();
});

it('has files removed by itself as soon as their time is over, also those that were kept before it was opened', async () => {
  const engine = openMemoryEngine();
  const closing = { ...engine, close: async () => undefined };
  const first = await openOwnedStore(closing);
  await first.join('one').keptFiles.keep('/root\nbefore', Date.now() + 400.5);
  await first.close();
  const removed: string[] = [];
  let resolve: () => void;
  const all = new Promise<void>((resolved) => (resolve = resolved));
  const abandoned = async (file: string): Promise<void> => {
    removed.push(file);
    if (removed.length === 3) resolve();
  };
  const owned = await openOwnedStore(engine, { abandoned });
  const { keptFiles } = owned.join('two');
  // Nobody looks again before the next one is due.
  await keptFiles.keep('/root\nlater', Date.now() + 1200.25);
  await keptFiles.keep('/root\nsoon', Date.now() + 800);
  await all;
  expect(removed).toEqual(['/root\nbefore', '/root\nsoon', '/root\nlater']);
  await owned.close();
});
