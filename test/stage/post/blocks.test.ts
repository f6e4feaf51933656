import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import type { Ready } from '../../../src/flow/posted.js';
import { blockLength, blockOffset, fileSize, type Parts } from '../../../src/message/parts.js';
import { type BlocksOptions, blocks } from '../../../src/stage/post/blocks.js';
import { dedupeKey } from '../../../src/stage/choose/dedupe-key.js';
import { describe as describeStage } from '../../../src/stage/post/describe.js';
import { scratch } from '../../file/scratch.js';
import { gained, listening, never } from '../items.js';

/* Files that are announced in blocks, and what becomes of one that changes while it is read. */

let root = '';
beforeEach(() => {
  root = scratch();
});

const KIB = 1024;

/** Bytes of which no two blocks are alike. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 4)
    bytes.writeUInt32LE((at * 2654435761) % 2 ** 32, Math.min(at, size - 4));
  return bytes;
}

const hex = (algorithm: 'd' | 's', bytes: Buffer): string =>
  createHash(algorithm === 'd' ? 'md5' : 'sha512')
    .update(bytes)
    .digest('hex');

interface Posting {
  readonly log: readonly string[];
  readonly blocks: AsyncIterable<Ready>;
}

interface Told {
  readonly parts: Parts;
  readonly sum: string;
  readonly pubTime: string;
  readonly mtime: string | undefined;
}

const toldOf = ({ next }: Ready): Told => {
  if (next.change.kind !== 'write' || next.change.parts === undefined) throw new Error('no block');
  const { parts, sum } = next.change;
  return {
    parts,
    sum: `${sum?.algorithm ?? ''},${sum?.value ?? ''}`,
    pubTime: next.pubTime,
    mtime: next.headers.get('mtime'),
  };
};

async function post(path: string, options: Partial<BlocksOptions> = {}, stop = never()): Promise<Posting> {
  const logger = listening();
  const stage = describeStage({
    baseUrls: ['http://h/'],
    baseDir: root,
    topicPrefix: 'v02.post',
    subtopic: undefined,
    events: ['create'],
    identity: {},
    headers: { set: new Map(), remove: new Set() },
    rename: undefined,
    strip: undefined,
    preserveMode: true,
    preserveTime: true,
    now: Date.now,
    warn: () => undefined,
  });
  const item = { path, kind: 'file', stat: lstatSync(path) } as const;
  const fan = blocks({
    sum: 'd',
    blockSize: 0,
    followLinks: false,
    randomize: false,
    following: undefined,
    now: Date.now,
    logger,
    ...options,
  });
  return { log: logger.lines, blocks: fan.spread({ ...item, ...(await gained(stage, item)) }, stop) };
}

async function all(posting: Posting, meanwhile?: (told: readonly Told[]) => void): Promise<Told[]> {
  const told: Told[] = [];
  for await (const ready of posting.blocks) {
    told.push(toldOf(ready));
    meanwhile?.(told);
  }
  return told;
}

/** What a receiver that keeps to one version ends up with: every block of the newest one is there, and is right. */
function expectNewestWhole(told: readonly Told[], content: Buffer): readonly Told[] {
  const newest = told.filter(({ pubTime }) => pubTime === told.at(-1)?.pubTime);
  const [first] = newest;
  if (first === undefined) throw new Error('nothing was told');
  expect(fileSize(first.parts)).toBe(content.byteLength);
  expect(new Set(newest.map(({ parts }) => parts.number)).size).toBe(first.parts.count);
  expect(newest).toHaveLength(first.parts.count);
  for (const { parts, sum } of newest) {
    const offset = blockOffset(parts);
    expect(sum).toBe(`d,${hex('d', content.subarray(offset, offset + blockLength(parts)))}`);
  }
  expect(new Set(newest.map(({ mtime }) => mtime)).size).toBe(1);
  return newest;
}

function overwrite(path: string, offset: number, text: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, text, offset);
  closeSync(file);
  // Two changes within one tick of the clock of the file system are one for everybody.
  utimesSync(path, new Date(), new Date(Date.now() + 5000));
}

describe('blocks of a file', () => {
  it.each([
    { size: 10 * KIB + 1, blockSize: 4 * KIB, sum: 'd' as const },
    { size: 12 * KIB, blockSize: 4 * KIB, sum: 's' as const },
    { size: 5 * KIB * KIB, blockSize: 2 * KIB * KIB, sum: 'd' as const },
  ])(
    'are in order, fit together and have the sum of their bytes: $size by $blockSize, $sum',
    async (given) => {
      const content = noise(given.size);
      const path = join(root, 'f');
      writeFileSync(path, content);
      const told = await all(await post(path, given));
      expect(told.length).toBeGreaterThan(1);
      let end = 0;
      for (const [index, { parts, sum }] of told.entries()) {
        expect(parts).toMatchObject({ method: 'i', number: index, count: told.length });
        expect(parts.remainder).toBeGreaterThan(0);
        expect(blockOffset(parts)).toBe(end);
        end += blockLength(parts);
        expect(sum).toBe(`${given.sum},${hex(given.sum, content.subarray(blockOffset(parts), end))}`);
      }
      expect(end).toBe(given.size);
      expect(new Set(told.map(({ pubTime, mtime }) => `${pubTime} ${mtime ?? ''}`)).size).toBe(1);
    },
  );

  it('are announced before the last one has been read', async () => {
    const path = join(root, 'f');
    writeFileSync(path, noise(100 * KIB));
    const seen: number[] = [];
    // What nobody has asked for yet has not been read: it is gone, and only then missed.
    await expect(
      (async () => {
        for await (const { next } of (await post(path, { blockSize: KIB + 1 })).blocks) {
          seen.push(next.change.kind === 'write' ? (next.change.parts?.number ?? -1) : -1);
          if (seen.length === 1) rmSync(path);
        }
      })(),
    ).rejects.toThrow(/cannot read/);
    expect(seen[0]).toBe(0);
    expect(seen.length).toBeLessThan(99);
  });

  it('are not read where the sum is not one of the content', async () => {
    const path = join(root, 'f');
    writeFileSync(path, 'x'.repeat(25));
    const sums = async (sum: string): Promise<readonly string[]> =>
      (await all(await post(path, { blockSize: 10, sum }))).map((told) => told.sum);
    expect(await sums('z,d')).toEqual(['z,d', 'z,d', 'z,d']);
    expect(await sums('a,mine')).toEqual(['a,mine', 'a,mine', 'a,mine']);
    const name = `n,${createHash('md5').update('f').digest('hex')}`;
    expect(await sums('n')).toEqual([name, name, name]);
    for (const sum of await sums('0')) expect(sum).toMatch(/^0,\d{4}$/u);
  });

  it('are no more than receivers take', async () => {
    const path = join(root, 'f');
    writeFileSync(path, '');
    truncateSync(path, 20_000_000);
    const refused = all(await post(path, { blockSize: 19 }));
    await expect(refused).rejects.toThrow(/1052632 blocks of 19 bytes.*write a larger blocksize/u);
    await expect(refused).rejects.toBeInstanceOf(PermanentError);
  });

  it('end when they are stopped, and nothing is read any more', async () => {
    const path = join(root, 'f');
    writeFileSync(path, '');
    truncateSync(path, 200 * KIB * KIB);
    const stop = new AbortController();
    const posting = await post(path, { blockSize: 20 * KIB * KIB }, stop.signal);
    await expect(all(posting, () => stop.abort())).rejects.toThrow(/stopped/u);
  });
});

describe('a file that changes while it is read', () => {
  const size = 40 * KIB;
  const blockSize = KIB + 3;

  it.each([
    ['grows', (path: string) => appendFileSync(path, 'and more')],
    ['shrinks', (path: string) => truncateSync(path, 30 * KIB + 1)],
    ['becomes small enough for one block', (path: string) => truncateSync(path, 100)],
    ['has another byte at its end', (path: string) => overwrite(path, size - 1, '!')],
    ['has another byte in what was told', (path: string) => overwrite(path, 10, '!')],
    [
      'is replaced by another',
      (path: string) => {
        writeFileSync(`${path}.new`, noise(size).reverse());
        utimesSync(`${path}.new`, new Date(), new Date(Date.now() + 5000));
        renameSync(`${path}.new`, path);
      },
    ],
  ])('is announced as a new version, whole, when it %s', async (_what, change) => {
    const path = join(root, 'f');
    writeFileSync(path, noise(size));
    const posting = await post(path, { blockSize });
    const told = await all(posting, ({ length }) => {
      if (length === 3) {
        change(path);
        utimesSync(path, new Date(), new Date(Date.now() + 5000));
      }
    });
    const newest = expectNewestWhole(told, readFileSync(path));
    // Nothing of the new version is told as being of the old one.
    const old = told.length - newest.length;
    expect(old).toBeGreaterThanOrEqual(3);
    expect(old).toBeLessThan(20);
    expect(newest[0]?.mtime).not.toBe(told[0]?.mtime);
    expect(posting.log).toEqual([
      `warning: ${path} changed while it was read: posted again, its first changed block first`,
    ]);
  });

  it('is announced from its first changed block on, and what came before that afterwards', async () => {
    const path = join(root, 'f');
    writeFileSync(path, noise(size));
    const told = await all(await post(path, { blockSize }), ({ length }) => {
      if (length === 20) overwrite(path, 5 * blockSize, '!');
    });
    const newest = expectNewestWhole(told, readFileSync(path));
    expect(newest.map(({ parts }) => parts.number)).toEqual([
      ...Array.from({ length: newest.length - 5 }, (_, index) => index + 5),
      ...[0, 1, 2, 3, 4],
    ]);
  });

  it('is noticed even when the last block has been read', async () => {
    const path = join(root, 'f');
    writeFileSync(path, noise(3 * KIB));
    const told = await all(await post(path, { blockSize }), ({ length }) => {
      if (length === 3) overwrite(path, 0, '!');
    });
    expect(told).toHaveLength(6);
    expectNewestWhole(told, readFileSync(path));
  });

  it('is given up when it does not stop changing', async () => {
    const path = join(root, 'f');
    writeFileSync(path, noise(size));
    const posting = await post(path, { blockSize });
    const given = all(posting, () => appendFileSync(path, 'x'));
    await expect(given).rejects.toThrow(/f changes while it is read: post it when it is complete/u);
    await expect(given).rejects.toBeInstanceOf(RetryableError);
    expect(posting.log).toHaveLength(2);
  });

  it('is another version for duplicate suppression, block by block', async () => {
    const path = join(root, 'f');
    writeFileSync(path, noise(3 * KIB));
    const keys = async (): Promise<readonly (string | undefined)[]> => {
      const found: (string | undefined)[] = [];
      for await (const { next } of (await post(path, { blockSize })).blocks)
        found.push(dedupeKey(next, 'path'));
      return found;
    };
    const before = await keys();
    expect(new Set(before).size).toBe(3);
    expect(await keys()).toEqual(before);
    overwrite(path, 0, '!');
    const after = await keys();
    expect(after.filter((key) => before.includes(key))).toEqual([]);
  });

  it('has a key of its own for each of its blocks when they are alike, or are told apart by name', async () => {
    const path = join(root, 'f');
    writeFileSync(path, Buffer.alloc(30));
    for (const sum of ['d', 'n']) {
      const found = new Set<string | undefined>();
      for await (const { next } of (await post(path, { blockSize: 10, sum })).blocks)
        found.add(dedupeKey(next, 'path'));
      expect(found.size, sum).toBe(3);
    }
  });
});
