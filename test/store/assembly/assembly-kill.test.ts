import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nameOf, type Engine } from '../../../src/store/engine/engine.js';
import { openJournal } from '../../../src/store/engine/journal.js';
import { openLevelEngine } from '../../../src/store/engine/level-engine.js';
import { openOwnedStore } from '../../../src/store/owned-store.js';
import type { BlockClaim, Progress, Store } from '../../../src/store/store.js';

/*
 * Files in blocks over LevelDB, whose owner is killed before any of its writes, again and again, and opened anew. The blocks
 * come in any order, some of them twice; what was not acknowledged comes again.
 */

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'assembly-'));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const path = '/a';

/** Writes are done until so many are; then it is as if the process had died. */
function mortal(engine: Engine, writes: number, die: () => void): Engine {
  const pending = new Map<string, { readonly key: Uint8Array; readonly value: Uint8Array | undefined }>();
  let left = writes;
  let isDead = false;
  return {
    ...engine,
    get: (key) => {
      const fresh = pending.get(nameOf(key));
      if (fresh === undefined) return engine.get(key);
      return fresh.value && Buffer.from(fresh.value);
    },
    put: (key, value) => void pending.set(nameOf(key), { key, value }),
    remove: (key) => void pending.set(nameOf(key), { key, value: undefined }),
    written: async () => {
      if (left <= 0) {
        isDead = true;
        die();
        await new Promise<never>(() => undefined);
      }
      if (pending.size > 0) left -= 1;
      for (const { key, value } of pending.values()) {
        if (value === undefined) engine.remove(key);
        else engine.put(key, value);
      }
      pending.clear();
      await engine.written();
      // Whoever was answered after its death would go on as if it lived.
      if (left <= 0 && isDead) await new Promise<never>(() => undefined);
    },
  };
}

/** What is on the disk besides the store, and what was done. */
interface World {
  readonly hidden: Map<string, string[]>;
  target: { readonly generation: string; readonly content: string } | undefined;
  /** Generations that were installed, each time that what follows from it was begun, and ended. */
  readonly fired: string[];
  readonly done: string[];
}

/** Brings one block to its end; answers when it may be acknowledged. */
async function bring(store: Store, claim: BlockClaim, world: World): Promise<void> {
  const { generation, number, instant, leftover } = claim;
  if ((await store.paths.enter([path], instant, undefined, undefined, generation)) === 'superseded') return;
  const answer = await store.assemblies.begin(claim);
  let progress: Progress | undefined = answer.kind === 'present' ? answer : undefined;
  if (answer.kind === 'missing') {
    const blocks = world.hidden.get(leftover) ?? [];
    world.hidden.set(leftover, blocks);
    blocks[number] = 'half';
    await new Promise(setImmediate);
    blocks[number] = claim.sum;
    progress = await store.assemblies.placed(path, generation, number);
  }
  if (progress?.complete === true) {
    const blocks = world.hidden.get(leftover);
    if (blocks !== undefined) {
      const content = Array.from({ length: progress.count }, (_, n) => blocks[n] ?? 'missing').join(' ');
      world.target = { generation, content };
      world.hidden.delete(leftover);
    }
    expect(world.target?.generation).toBe(generation);
    world.fired.push(generation);
    await store.assemblies.finished(path, generation);
    world.done.push(generation);
  }
  await store.assemblies.leave(path, generation, number);
  await store.paths.leave([path]);
}

/** Works on all claims, four at a time, with two clients; answers those that are not acknowledged when it is killed. */
async function reign(
  claims: readonly BlockClaim[],
  world: World,
  writes: number,
): Promise<readonly BlockClaim[]> {
  const level = await openLevelEngine(directory, false);
  if (level === undefined) throw new Error('locked');
  const journal = openJournal(join(directory, 'journal'), false);
  let die: () => void = () => undefined;
  const dead = new Promise<'dead'>((resolve) => (die = () => resolve('dead')));
  const engine = mortal(level, writes, die);
  const left = new Set(claims);
  const queue = [...claims];
  const work = async (): Promise<void> => {
    const owned = await openOwnedStore(
      engine,
      { abandoned: async (leftover) => void world.hidden.delete(leftover) },
      journal,
    );
    const clients = [owned.join('one'), owned.join('two')];
    const lane = async (store: Store): Promise<void> => {
      for (let claim = queue.shift(); claim !== undefined; claim = queue.shift()) {
        await bring(store, claim, world);
        left.delete(claim);
      }
    };
    await Promise.all([...clients, ...clients].map(lane));
    await owned.expire();
  };
  await Promise.race([work(), dead]);
  journal.close();
  await level.close();
  return [...left];
}

/** Until all is acknowledged; what is left over each time comes again, in its order. */
async function work(claims: readonly BlockClaim[], kills: readonly number[]): Promise<World> {
  await rm(directory, { recursive: true, force: true });
  directory = await mkdtemp(join(tmpdir(), 'assembly-'));
  const world: World = { hidden: new Map(), target: undefined, fired: [], done: [] };
  let left = claims;
  for (const writes of [...kills, Infinity]) left = await reign(left, world, writes);
  expect(left).toEqual([]);
  expect([...world.hidden.keys()]).toEqual([]);
  // Again only when it was killed before the end was written down.
  expect(new Set(world.done).size).toBe(world.done.length);
  expect(world.fired.length).toBeLessThanOrEqual(new Set(world.fired).size + kills.length);
  return world;
}

/** The blocks of a version of a file. */
const versionOf = (name: string, count: number, instant: number): readonly BlockClaim[] =>
  Array.from({ length: count }, (_, number) => ({
    path,
    generation: name,
    number,
    count,
    blockSize: 10,
    size: count * 10 - 4,
    sum: `${name}${number}`,
    instant: instant + number,
    leftover: `.${name}`,
  }));

/** What is announced of a file that grows to these sizes, one after the other. */
function growthOf(sizes: readonly number[]): readonly BlockClaim[] {
  const claims: BlockClaim[] = [];
  for (const [index, size] of sizes.entries()) {
    const count = Math.ceil(size / 10);
    const before = sizes[index - 1] ?? 0;
    const isLast = index === sizes.length - 1;
    // The block that was the last is announced again when it has changed, and at the very end in any case.
    for (let number = Math.min(Math.floor(before / 10), count - 1); number < count; number += 1)
      claims.push({
        path,
        generation: 'growth',
        number,
        count,
        blockSize: 10,
        size,
        sum: `${number}:${Math.min(10, size - number * 10)}`,
        instant: 1000 * (index + 1) + number,
        leftover: '.growth',
        growing: isLast && number === count - 1 ? 'ended' : 'on',
      });
  }
  return claims;
}

const contentOf = (claims: readonly BlockClaim[]): string => claims.map(({ sum }) => sum).join(' ');

describe('a file in blocks, whose owner is killed before any of its writes', () => {
  it('comes together once, at every write', async () => {
    const claims = versionOf('a', 3, 1000);
    for (let writes = 0; writes < 16; writes += 1) {
      const { target, fired } = await work(claims, [writes, 3]);
      expect(target?.content, `${writes} writes`).toBe(contentOf(claims));
      expect(fired.length, `${writes} writes`).toBeLessThanOrEqual(2);
    }
  });

  const kills = fc.array(fc.nat(20), { maxLength: 4 });

  it('is the newest version in the end, whatever comes in whatever order', async () => {
    const plans = fc
      .record({
        counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        repeated: fc.array(fc.nat(20), { maxLength: 4 }),
        kills,
      })
      .chain(({ counts, repeated, kills: all }) => {
        const claims = counts.flatMap((count, version) =>
          versionOf(`v${version}`, count, 1000 * (version + 1)),
        );
        const again = repeated.map((n) => claims[n % claims.length]).filter((claim) => claim !== undefined);
        const shuffled = fc.shuffledSubarray([...claims, ...again.map((claim) => ({ ...claim }))], {
          minLength: claims.length + again.length,
        });
        const newest = versionOf(`v${counts.length - 1}`, counts.at(-1) ?? 1, 0);
        return fc.record({ claims: shuffled, newest: fc.constant(newest), kills: fc.constant(all) });
      });
    await fc.assert(
      fc.asyncProperty(plans, async ({ claims, newest, kills: all }) => {
        const { target, fired } = await work(claims, all);
        expect(target?.content).toBe(contentOf(newest));
        expect(fired.at(-1)).toBe(newest[0]?.generation);
      }),
      { numRuns: 25, seed: 1 },
    );
  });

  it('is as it was announced last when it has grown, in whatever order that comes', async () => {
    const plans = fc
      .record({ steps: fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 4 }), kills })
      .chain(({ steps, kills: all }) => {
        const sizes = steps.map((_, index) => steps.slice(0, index + 1).reduce((sum, one) => sum + one, 0));
        const claims = growthOf(sizes);
        const shuffled = fc.shuffledSubarray([...claims], { minLength: claims.length });
        return fc.record({ claims: shuffled, size: fc.constant(sizes.at(-1) ?? 0), kills: fc.constant(all) });
      });
    await fc.assert(
      fc.asyncProperty(plans, async ({ claims, size, kills: all }) => {
        const { target } = await work(claims, all);
        expect(target?.content).toBe(contentOf(growthOf([size])));
      }),
      { numRuns: 25, seed: 1 },
    );
  });
});
