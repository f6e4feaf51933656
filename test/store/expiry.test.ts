import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { table } from '../../src/store/engine/engine.js';
import { openLevelStore } from '../../src/store/level-store.js';
import { openMemoryEngine } from '../../src/store/engine/memory-engine.js';
import { openOwnedStore } from '../../src/store/owned-store.js';
import type { BlockClaim } from '../../src/store/store.js';
import { listening } from '../stage/items.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'expiry-'));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

describe('expiry', () => {
  it('leaves nothing of duplicates and paths that are no longer remembered', async () => {
    let now = 1_700_000_000_000;
    const engine = openMemoryEngine();
    const owned = await openOwnedStore(engine, { now: () => now });
    const store = owned.join('a client');
    const entries = async (): Promise<number> => {
      let count = 0;
      for (const letter of [table.seen, table.seenOfPath, table.newest]) {
        for await (const [key] of engine.scan(Buffer.from([letter]), Buffer.from([letter + 1])))
          count += key[0] === letter ? 1 : 0;
      }
      return count;
    };
    for (let n = 0; n < 50; n += 1) {
      await store.seen.commit(`k${n}`, 60_000, `/p${n}`);
      await store.paths.enter([`/p${n}`], now);
      await store.paths.leave([`/p${n}`]);
      now += 1000;
    }
    await owned.expire();
    expect(await entries()).toBe(150);
    now += 3 * 60_000;
    await owned.expire();
    expect(await entries()).toBe(50);
    now += 2 * 3_600_000;
    await owned.expire();
    expect(await entries()).toBe(0);
    await owned.close();
  });

  it('does not let a flood of duplicates outrun the disk', async () => {
    let now = Date.now();
    const owned = await openLevelStore(directory, { now: () => now });
    if (owned === undefined) throw new Error('locked');
    const store = owned.join('a client');
    await store.seen.commit('k', 60_000);
    for (let hits = 0; hits < 5; hits += 1) {
      now += 10_000;
      let hasTurned = false;
      setImmediate(() => {
        hasTurned = true;
      });
      expect(await store.seen.claim('k', 60_000)).toBe('known');
      expect(hasTurned).toBe(true);
    }
    await owned.close();
  });

  it('says which file was given up before all of its blocks had come, once, and of no other', async () => {
    let now = 1_700_000_000_000;
    const log = listening();
    const options = { now: () => now, retryTtl: 3_600_000, logger: log };
    const owned = await openOwnedStore(openMemoryEngine(), options);
    const { assemblies } = owned.join('a client');
    const block = (path: string, number: number): BlockClaim => ({
      path,
      generation: 'one',
      number,
      count: 3,
      blockSize: 10,
      size: 26,
      sum: '',
      instant: now,
      leftover: '/\n.hidden',
    });
    const place = async (path: string, number: number): Promise<void> => {
      await assemblies.begin(block(path, number));
      const { complete } = await assemblies.placed(path, 'one', number);
      if (complete) await assemblies.finished(path, 'one');
      await assemblies.leave(path, 'one', number);
    };
    await place('/half', 0);
    await place('/half', 2);
    for (const number of [0, 1, 2]) await place('/whole', number);
    now += 3 * 3_600_000;
    await owned.expire();
    await owned.expire();
    expect(log.lines).toEqual([
      'warning: /half was given up: 2 of its 3 blocks have come, and none since 2023-11-14T22:13:20.000Z; it has to be announced again',
    ]);
    await owned.close();
  });
});
