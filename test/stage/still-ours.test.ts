import { expect, it } from 'vitest';
import type { Entered } from '../../src/flow/item.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { stillOurs } from '../../src/stage/fetch/latest.js';

const takenAt = (moment: number): Entered => ({ entered: ['/r/f'], takenAt: moment }) as unknown as Entered;

it('lets nothing be changed under a path that went to somebody else while this process stood still', async () => {
  const owned = await createMemoryStore();
  const suspended = owned.join('suspended');
  const { signal } = new AbortController();
  let now = 1000;
  const stage = stillOurs(suspended.paths, () => now);
  await suspended.paths.enter(['/r/f'], 1);
  now = 60_000;
  await stage.run(takenAt(1000), signal);
  await suspended.paths.leave(['/r/f']);
  await owned.join('the next').paths.enter(['/r/f'], 2);
  await expect(stage.run(takenAt(1000), signal)).rejects.toThrow('not ours any more');
  // What was taken a moment ago is not asked about.
  await stage.run(takenAt(now - 1), signal);
  await owned.close();
});
