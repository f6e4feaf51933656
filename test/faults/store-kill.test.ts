import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../../src/store/level-store.js';
import { becomeOwner } from '../../src/store/owner/owner.js';
import { findOwner } from '../../src/store/owner/owner-file.js';
import { connectStore } from '../../src/store/owner/remote-store.js';
import type { DueRetry, Store } from '../../src/store/store.js';
import { freePort } from '../store/free-port.js';
import { compiled, type Child, type Compiled } from '../store/compiled.js';

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

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const namesAfter = (children: readonly Child[], word: string): ReadonlySet<string> =>
  new Set(
    children.flatMap(({ lines }) =>
      lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1)),
    ),
  );

async function takeAll(store: Store): Promise<readonly DueRetry[]> {
  const all: DueRetry[] = [];
  for (;;) {
    const some = await store.retries.take(500);
    if (some.length === 0) return all;
    all.push(...some);
  }
}

describe('a store whose owner is killed', () => {
  it('has everything that it promised, after twenty kills at any moment and more', async () => {
    const children: Child[] = [];
    let added: ReadonlySet<string> = new Set();
    let done: ReadonlySet<string> = new Set();
    // A busy machine lets a writer do little before it dies.
    for (let round = 0; round < 20 || added.size <= 500 || done.size <= 100; round += 1) {
      const child = programs.start('write', directory, `r${round}`);
      children.push(child);
      await child.line('ready');
      await pause(Math.random() * 150);
      await child.kill();
      added = namesAfter(children, 'added');
      done = namesAfter(children, 'done');
    }
    const committed = namesAfter(children, 'committed');

    const owned = await openLevelStore(join(directory, 'store'));
    if (owned === undefined) throw new Error('locked');
    const store = owned.join('reader');
    const { waiting } = await store.retries.size();
    const found = await takeAll(store);
    const names = found.map(({ headers }) => headers['name'] ?? '');
    expect(new Set(names).size).toBe(names.length);
    expect(found.length).toBe(waiting);
    const isFound = new Set(names);
    const finishing = namesAfter(children, 'finishing');
    expect([...added].filter((name) => !isFound.has(name) && !finishing.has(name))).toEqual([]);
    expect([...done].filter((name) => isFound.has(name))).toEqual([]);
    for (const name of committed) expect(await store.seen.claim(name, 3_600_000)).toBe('known');
    await owned.close();
  });

  it('gives back both of two retries that were in hand', async () => {
    const owner = programs.start('own', directory, '0');
    await owner.line('owner');
    const store = await connectStore(directory);
    for (const name of ['one', 'two']) {
      await store.retries.add(
        {
          exchange: 'x',
          topic: 't',
          headers: { name },
          body: '',
          contentType: undefined,
          paths: [`/${name}`],
          instant: 1,
          firstFailure: 1,
          tries: 1,
          reason: '',
        },
        0,
      );
    }
    expect(await store.retries.take(2)).toHaveLength(2);
    await owner.kill();
    const next = await becomeOwner(directory);
    const again = (await next?.store.retries.take(5)) ?? [];
    expect(again.map(({ headers }) => headers['name'])).toEqual(['one', 'two']);
    await next?.close();
  });

  it('tells its clients, who then can do nothing any more', async () => {
    const owner = programs.start('own', directory, '0');
    await owner.line('owner');
    const store = await connectStore(directory);
    await store.seen.claim('k', 60_000);
    const waiting = store.seen.claim('k', 60_000);
    const never = store.ask('never', null);
    const lost = new Promise((resolve) => store.lost.addEventListener('abort', resolve));
    const early = Promise.allSettled([waiting, never]);
    await owner.kill();
    await lost;
    await early;
    const refused = await Promise.allSettled([
      waiting,
      never,
      store.retries.take(1),
      store.seen.commit('k', 60_000),
    ]);
    for (const result of refused) {
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'FatalError' } });
    }
    expect(store.lost.reason).toMatchObject({ name: 'FatalError' });
    await store.close();
  });

  it('reports the leftovers of its time to the next owner, once', async () => {
    const owner = programs.start('own', directory, '0');
    await owner.line('owner');
    const client = programs.start('hold', directory);
    await client.line('holding');
    await owner.kill();
    await client.line('lost');
    await client.kill();
    const told: string[] = [];
    const abandoned = async (leftover: string): Promise<void> => void told.push(leftover);
    for (let turn = 0; turn < 2; turn += 1) await (await becomeOwner(directory, { abandoned }))?.close();
    expect(told).toEqual(['.held.tmp']);
  });
});

describe('a client that is killed', () => {
  it('leaves its claim, its path and its lease to the others', async () => {
    const told: string[] = [];
    const owner = await becomeOwner(directory, { abandoned: async (leftover) => void told.push(leftover) });
    if (owner === undefined) throw new Error('locked');
    const client = programs.start('hold', directory);
    await client.line('holding');
    const claim = owner.store.seen.claim('held', 60_000);
    const entry = owner.store.paths.enter(['/held'], Date.now() + 1000);
    await client.kill();
    expect(await claim).toBe('ours');
    expect(await entry).toBe('entered');
    expect(told).toEqual(['.held.tmp']);
    await owner.close();
  });
});

describe('the election of an owner', () => {
  it('never has two, while eight contend and owners are killed', async () => {
    const port = String(await freePort());
    const contend = (): Child => programs.start('contend', directory, port);
    let contenders = Array.from({ length: 8 }, contend);
    for (let reign = 0; reign < 12; reign += 1) {
      const elected = await Promise.any(
        contenders.map(async (child) => {
          await child.line('owner');
          return child;
        }),
      );
      expect(contenders.filter(({ lines }) => lines.includes('owner'))).toEqual([elected]);
      await expect.poll(async () => (await findOwner(directory))?.pid).toBe(elected.process.pid);
      contenders = [...contenders.filter((child) => child !== elected), ...(reign < 6 ? [contend()] : [])];
      await elected.kill();
      if (contenders.length === 0) break;
    }
    const all = contenders.flatMap(({ lines }) => lines);
    expect(all).not.toContain('two owners');
    await Promise.all(contenders.map((child) => child.kill()));
  });
});
