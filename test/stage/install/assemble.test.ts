import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entered, Fetched, Installed, Joined } from '../../../src/flow/item.js';
import { silentLogger } from '../../../src/logger.js';
import { generationOf } from '../../../src/message/generation.js';
import type { Parts } from '../../../src/message/parts.js';
import type { FetchOptions } from '../../../src/stage/fetch/fetch-job.js';
import { fetch } from '../../../src/stage/fetch/fetch.js';
import { unchanged } from '../../../src/stage/fetch/unchanged.js';
import { assembler } from '../../../src/stage/install/assemble.js';
import { install } from '../../../src/stage/install/install.js';
import { join as joinBlocks } from '../../../src/stage/install/join.js';
import { whole } from '../../../src/stage/install/whole.js';
import { createMemoryStore } from '../../../src/store/memory-store.js';
import type { OwnedStore } from '../../../src/store/owned-store.js';
import type { Store } from '../../../src/store/store.js';
import { openTransports } from '../../../src/transport/registry.js';
import type { Transports } from '../../../src/transport/transport.js';
import { scratch } from '../../file/scratch.js';
import { allIn, describeOutcome, gained, listening, md5, placedIn, roots, through } from '../items.js';
import { announcement } from '../placing.js';

/* A file of three blocks of four bytes and a last one of two. Who dies is a client that goes without a word. */

const CONTENT = 'abcdefghijklmn';
const BLOCK = 4;

let owned: OwnedStore;
let store: Store;
let transports: Transports;
let [source, root] = ['', ''];
let log: ReturnType<typeof listening>;

beforeEach(async () => {
  [source, root] = [scratch(), scratch()];
  writeFileSync(join(source, 'file'), CONTENT);
  log = listening();
  owned = await createMemoryStore({ logger: log, abandoned: async () => undefined });
  store = owned.join('first');
  transports = openTransports({
    limits: { timeout: 5000, connections: 4, tlsRigour: 'normal' },
    credentialOf: () => undefined,
    logger: silentLogger,
  });
});
afterEach(async () => {
  await transports.close();
  await owned.close();
});

const options: FetchOptions = {
  attempts: 1,
  inflight: undefined,
  onMismatch: 'retry',
  preserveMode: true,
  preserveTime: true,
  mode: undefined,
  directoryMode: undefined,
  flush: false,
  sizeMax: Number.POSITIVE_INFINITY,
};

function itemOf(number: number, more: Partial<Entered> = {}): Entered {
  const count = Math.ceil(CONTENT.length / BLOCK);
  const parts: Parts = { method: 'i', blockSize: BLOCK, count, remainder: CONTENT.length % BLOCK, number };
  const sum = { algorithm: 'd', value: md5(CONTENT.slice(number * BLOCK, (number + 1) * BLOCK)) };
  const subject = announcement(`${source}/file`, {
    baseUrl: 'file:',
    change: { kind: 'write', parts, sum },
    headers: new Map([['mtime', '20260101120000']]),
  });
  const generation = generationOf(subject);
  if (generation === undefined) throw new Error('this is no block');
  const assembly = { generation, parts, storage: 'hidden' as const };
  return { ...placedIn(root, 'd/file', subject, { assembly }), entered: [], ...more };
}

/** Brings one block as far as the trigger; nothing is settled. */
async function bring(number: number, more: Partial<Entered> = {}): Promise<Partial<Installed>> {
  const rootOf = roots();
  const item = itemOf(number, more);
  const joined: Joined = { ...item, ...(await gained(joinBlocks(store.assemblies, undefined), item)) };
  const compared = {
    ...joined,
    ...(await gained(unchanged(rootOf, { ...options, overwrite: false }), joined)),
  };
  const fetched: Fetched = { ...compared, ...(await gained(fetch(transports, rootOf, options), compared)) };
  const assemble = assembler(store.assemblies, transports, { ...options, isTold: true });
  const { gain, outcome } = await through(
    install(rootOf, { allowLinks: false, directoryMode: undefined, flush: false }, assemble),
    fetched,
  );
  if (outcome !== undefined) throw new Error(describeOutcome(outcome));
  return { ...fetched, ...gain };
}

const leave = async ({ assembly, target }: Partial<Installed>): Promise<void> => {
  if (assembly === undefined || target === undefined) throw new Error('this is no block');
  await store.assemblies.leave(target.path, assembly.generation.key, assembly.parts.number);
};
const bringAll = async (...numbers: readonly number[]): Promise<void> => {
  for (const number of numbers) await leave(await bring(number));
};

/** The process dies with what it has in hand; another one takes its place. */
async function die(): Promise<void> {
  await store.close();
  store = owned.join('next');
}

const again = { repeated: true };
const target = (): string => join(root, 'd/file');
const sumOfAll = { size: CONTENT.length, sum: { algorithm: 'd', value: md5(CONTENT) } };

describe('a file that was put together, by a process that died behind its renaming', () => {
  it('is told of again, with the sum that it had before anybody was asked about it', async () => {
    await bringAll(0, 1, 2);
    expect(await bring(3)).toMatchObject({ complete: true, whole: sumOfAll });
    await die();
    writeFileSync(target(), 'what a trigger has made of it');
    expect(await bring(3, again)).toMatchObject({
      complete: true,
      endsAssembly: true,
      whole: sumOfAll,
      result: { code: 201, text: 'Downloaded, redelivered' },
    });
  });

  it('is here when its time is another one, as on a file system that knows no fractions', async () => {
    await bringAll(0, 1, 2);
    await bring(3);
    utimesSync(target(), 1, 1);
    await die();
    expect(await bring(3, again)).toMatchObject({ complete: true, result: { code: 201 } });
  });

  it('is announced, and not asked about, when it has been moved away', async () => {
    await bringAll(0, 1, 2);
    await bring(3);
    renameSync(target(), join(root, 'elsewhere'));
    await die();
    const gain = await bring(3, again);
    expect(gain).toMatchObject({ complete: true, isAway: true, whole: sumOfAll });
    expect(await gained(whole(), { ...itemOf(3), ...gain } as Installed)).toMatchObject({
      next: { change: { parts: { method: '1', blockSize: CONTENT.length } } },
    });
    expect(allIn(root)).toEqual(['d', 'elsewhere']);
  });

  it('ends as the same, when that was all that it was', async () => {
    mkdirSync(join(root, 'd'));
    writeFileSync(target(), CONTENT);
    await bringAll(0, 1, 2);
    expect(await bring(3)).toMatchObject({ complete: false, result: { code: 304 } });
    const { mtimeMs } = statSync(target());
    await die();
    expect(await bring(3, again)).toMatchObject({
      complete: false,
      endsAssembly: true,
      result: { code: 304, text: 'Not modified' },
    });
    expect(statSync(target()).mtimeMs).toBe(mtimeMs);
  });

  it('is put together again when it got no name, and what its blocks were in is gone', async () => {
    await bringAll(0, 1, 2);
    mkdirSync(join(root, 'd/file'));
    writeFileSync(join(root, 'd/file/in the way'), '');
    await expect(bring(3)).rejects.toThrow('install');
    const [hidden = ''] = allIn(root).filter((name) => name.endsWith('.inflight'));
    await die();
    rmSync(join(root, hidden));
    rmSync(target(), { recursive: true });
    expect(await bring(3, again)).toMatchObject({ complete: true });
    expect(readFileSync(target(), 'utf8')).toBe(CONTENT);
  });
});

describe('blocks that went with the file in which they were', () => {
  const hidden = (): string => {
    const [name = ''] = allIn(root).filter((one) => one.endsWith('.inflight'));
    return join(root, name);
  };

  it('are waited for when the server has something else by now, and the file ends when they are announced', async () => {
    await bringAll(0, 1, 2);
    rmSync(hidden());
    writeFileSync(join(source, 'file'), `ABCDeFGH${CONTENT.slice(8)}`);
    const last = await bring(3);
    // Its own bytes are there.
    expect(last).toMatchObject({ complete: false, result: { code: 201 } });
    expect(log.lines.join('\n')).toMatch(/d\/file: 2 blocks are lost, .* its sum is/u);
    await leave(last);
    expect(allIn(root)).toEqual(['d', expect.stringMatching(/\.inflight$/u)]);
    writeFileSync(join(source, 'file'), CONTENT);
    const first = await bring(1);
    expect(first).toMatchObject({ complete: false });
    await leave(first);
    expect(await bring(0)).toMatchObject({ complete: true, whole: sumOfAll });
    expect(readFileSync(target(), 'utf8')).toBe(CONTENT);
  });

  it('are tried again with the item that found them gone, when the server cannot give them now', async () => {
    await bringAll(0, 1, 2);
    rmSync(hidden());
    writeFileSync(join(source, 'file'), CONTENT.slice(0, 6));
    await expect(bring(3)).rejects.toThrow(/ended: .*"failed"|failed:/u);
    await die();
    writeFileSync(join(source, 'file'), CONTENT);
    expect(await bring(3, again)).toMatchObject({ complete: true });
    expect(readFileSync(target(), 'utf8')).toBe(CONTENT);
  });
});
