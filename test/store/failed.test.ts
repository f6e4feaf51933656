import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../src/errors.js';
import { becomeOwner, type Owner } from '../../src/store/owner/owner.js';
import { connectStore } from '../../src/store/owner/remote-store.js';
import type { Retry } from '../../src/store/store.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'failed-'));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const retryOf = (name: string, body = ''): Omit<Retry, 'id'> => ({
  exchange: 'x',
  topic: 't',
  headers: { name },
  body,
  contentType: undefined,
  paths: [`/${name}`],
  instant: Date.now(),
  firstFailure: Date.now(),
  tries: 1,
  reason: '',
});

async function own(): Promise<Owner> {
  const owner = await becomeOwner(directory);
  if (owner === undefined) throw new Error('somebody else owns it');
  return owner;
}

/** Adds until the store needs a new file, which it cannot make because its directory is gone. */
async function addUntilRefused({ store }: Owner, failed: AbortSignal): Promise<readonly string[]> {
  const added: string[] = [];
  for (let n = 0; !failed.aborted; n += 1) {
    const name = `more-${n}`;
    await store.retries.add(retryOf(name, 'x'.repeat(100_000)), 0).then(
      () => added.push(name),
      () => undefined,
    );
  }
  return added;
}

describe('a store that cannot be written any more', () => {
  it('says so, refuses everything, and has what it promised when it is opened again', async () => {
    const owner = await own();
    await owner.store.retries.add(retryOf('before'), 0);
    const client = await connectStore(directory);
    const lost = new Promise((resolve) => client.lost.addEventListener('abort', resolve));
    await rename(join(directory, 'store'), join(directory, 'away'));
    expect(owner.failed.aborted).toBe(false);
    const added = await addUntilRefused(owner, owner.failed);
    expect(owner.failed.reason).toBeInstanceOf(FatalError);
    await expect(owner.store.retries.add(retryOf('late'), 0)).rejects.toBe(owner.failed.reason);
    await expect(client.seen.commit('k', 1000)).rejects.toThrow('cannot write the store');
    await rename(join(directory, 'away'), join(directory, 'store'));
    await expect(owner.store.retries.add(retryOf('later'), 0)).rejects.toBe(owner.failed.reason);

    await expect(owner.close()).rejects.toBe(owner.failed.reason);
    await lost;
    const next = await own();
    expect(next.failed.aborted).toBe(false);
    const found = await next.store.retries.take(10_000);
    const names = new Set(found.map(({ headers }) => headers['name']));
    for (const name of ['before', ...added]) expect(names).toContain(name);
    await next.store.retries.add(retryOf('after'), 0);
    await next.close();
  });
});
