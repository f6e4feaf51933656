import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openRoot } from '../../../src/file/inside.js';
import type { Joined, Located } from '../../../src/flow/item.js';
import { generationOf } from '../../../src/message/generation.js';
import type { Parts } from '../../../src/message/parts.js';
import { standingIn } from '../../../src/stage/fetch/fetch-block.js';
import { join as joinBlocks } from '../../../src/stage/install/join.js';
import { remoteDirectories } from '../../../src/stage/push/remote-directories.js';
import { type BlockItem, type BlockOptions, sendBlock } from '../../../src/stage/push/send-block.js';
import { createMemoryStore } from '../../../src/store/memory-store.js';
import type { OwnedStore } from '../../../src/store/owned-store.js';
import type { Store } from '../../../src/store/store.js';
import { openFiles } from '../../../src/transport/disk/file.js';
import type { Session } from '../../../src/transport/transport.js';
import { scratch } from '../../file/scratch.js';
import { gained, listening, md5, placedIn } from '../items.js';
import { announcement } from '../placing.js';

/* A file of three blocks of four bytes is put together on a receiver, which is a disk; an older one of its size is there. */

const CONTENT = 'abcdefghijkl';
const OLDER = 'ABCDEFGHIJKL';
const BLOCK = 4;

let owned: OwnedStore;
let store: Store;
let session: Session;
let [source, receiver] = ['', ''];

beforeEach(async () => {
  [source, receiver] = [scratch(), scratch()];
  writeFileSync(join(source, 'file'), CONTENT);
  mkdirSync(join(receiver, 'd'));
  writeFileSync(target(), OLDER);
  owned = await createMemoryStore({ logger: listening(), abandoned: async () => undefined });
  store = owned.join('first');
  const limits = { timeout: 5000, connections: 4, tlsRigour: 'normal' } as const;
  session = await openFiles(limits).open(
    { url: `file:${receiver}/`, credential: undefined },
    new AbortController().signal,
  );
});
afterEach(async () => {
  await owned.close();
});

const target = (): string => join(receiver, 'd/file');
const gathering = (): string => join(receiver, 'd/file.tmp');
const { signal } = new AbortController();

const options: BlockOptions = {
  attempts: 1,
  inflight: '.tmp',
  onMismatch: 'retry',
  preserveMode: true,
  preserveTime: true,
  mode: undefined,
  destination: 'file:',
  sendsWhole: false,
  localOf: ({ local }) => local,
};

/** Takes a block in hand. */
async function joined(number: number, repeated: boolean): Promise<BlockItem> {
  const parts: Parts = { method: 'i', blockSize: BLOCK, count: 3, remainder: 0, number };
  const sum = { algorithm: 'd', value: md5(CONTENT.slice(number * BLOCK, (number + 1) * BLOCK)) };
  const subject = announcement('file', { baseUrl: 'file:', change: { kind: 'write', parts, sum } });
  const generation = generationOf(subject);
  if (generation === undefined) throw new Error('this is no block');
  const assembly = { generation, parts, storage: 'hidden' as const };
  const path = join(source, 'file');
  const placed = placedIn(receiver, 'd/file', subject, { assembly });
  const item: Located & Joined = {
    ...placed,
    target: { ...placed.target, path: target() },
    entered: [],
    repeated,
    isCopy: false,
    inflight: standingIn(path),
    local: { directory: source, relPath: 'file', path },
  };
  const gatherIn = (): { file: string; leftover: string } => ({ file: gathering(), leftover: '' });
  const { block } = await gained(
    joinBlocks(store.assemblies, undefined, { gatherIn, done: 'Delivered' }),
    item,
  );
  if (block === undefined) throw new Error('it is not in hand');
  return { ...item, assembly, block };
}

async function send(number: number, { by = session, repeated = false } = {}): ReturnType<typeof sendBlock> {
  const item = await joined(number, repeated);
  const attempt = {
    session: by,
    directories: remoteDirectories(undefined),
    root: openRoot(source),
    number: 1,
    stop: signal,
  };
  const gain = await sendBlock(item, attempt, options, store.assemblies);
  await store.assemblies.leave(item.target.path, item.assembly.generation.key, number);
  return gain;
}

/** A session of which one operation is followed by what somebody else does. */
const after = (operation: 'put', times: number, work: () => void): Session => {
  let count = 0;
  return {
    ...session,
    [operation]: async (...words: Parameters<NonNullable<Session['put']>>) => {
      await session.put?.(...words);
      count += 1;
      if (count === times) work();
    },
  };
};

it('is sent anew when what it was put together in is removed behind its last block', async () => {
  await send(0);
  await send(1);
  const by = after('put', 1, () => rmSync(gathering()));
  expect(await send(2, { by })).toMatchObject({ complete: true, result: { code: 201 } });
  expect(readFileSync(target(), 'utf8')).toBe(CONTENT);
  expect(readdirSync(join(receiver, 'd'))).toEqual(['file']);
});

it('is not taken for the older one of its size when its last block comes again', async () => {
  await send(0);
  await send(1);
  const failing: Session = { ...session, rename: () => Promise.reject(new Error('the line is cut')) };
  await expect(send(2, { by: failing })).rejects.toThrow('the line is cut');
  await store.close();
  store = owned.join('next');
  rmSync(gathering());
  expect(await send(2, { repeated: true })).toMatchObject({ complete: true });
  expect(readFileSync(target(), 'utf8')).toBe(CONTENT);
});

it('has its name already when whoever gave it to it died then', async () => {
  await send(0);
  await send(1);
  const item = await send(2);
  expect(item.complete).toBe(true);
  await store.close();
  store = owned.join('next');
  // Its trigger has been at work.
  writeFileSync(target(), 'changed');
  expect(await send(2, { repeated: true })).toMatchObject({
    complete: true,
    result: { code: 201, text: 'Delivered, redelivered' },
  });
  expect(readFileSync(target(), 'utf8')).toBe('changed');
});
