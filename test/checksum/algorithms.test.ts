import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryableError } from '../../src/errors.js';
import {
  algorithms,
  contentAlgorithm,
  digestOf,
  nameSum,
  randomSum,
  startDigest,
} from '../../src/checksum/algorithms.js';
import { digestOfFile, openDigest, workerSize } from '../../src/checksum/block-digest.js';
import { startWorkerDigest } from '../../src/checksum/worker-digest.js';
import { scratch } from '../file/scratch.js';

const forms = ['d', 's'] as const;
const truth = (form: 'd' | 's', data: Uint8Array): string =>
  createHash(form === 'd' ? 'md5' : 'sha512')
    .update(data)
    .digest('hex');

describe('the table', () => {
  it('has a row for each letter of the format', () => {
    expect(Object.keys(algorithms).sort()).toEqual(['0', 'a', 'd', 'n', 's', 'z']);
  });

  it.each([
    ['d', 'x', 'd'],
    ['s', 'x', 's'],
    ['z', 'd', 'd'],
    ['z', 's', 's'],
    ['z', 'z', undefined],
    ['n', 'd', undefined],
    ['0', '1234', undefined],
    ['a', 'x', undefined],
    ['constructor', 'x', undefined],
  ])('%s,%s is computed as %s', (algorithm, value, expected) => {
    expect(contentAlgorithm({ algorithm, value })).toBe(expected);
  });

  it('known values', () => {
    expect(contentAlgorithm(undefined)).toBeUndefined();
    expect(digestOf('d', '')).toBe('d41d8cd98f00b204e9800998ecf8427e');
    expect(nameSum('a/b/toto').value).toBe('f71dbe52628a3f83a77ab494817525c6');
    expect(randomSum().value).toMatch(/^\d{4}$/u);
  });
});

describe('digests', () => {
  it.each(forms)('%s does not depend on how the data comes', (form) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (chunks) => {
        const digest = startDigest(form);
        for (const chunk of chunks) digest.update(chunk);
        const all = Buffer.concat(chunks);
        expect(digest.value()).toBe(digestOf(form, all));
        expect(digestOf(form, all)).toBe(truth(form, all));
      }),
    );
  });

  it.each(forms)('%s in another thread is the same, in order, and leaves the buffers alone', async (form) => {
    const digest = startWorkerDigest(form);
    const chunks = [0, 1, 1024 * 1024 - 1, 5_000_001, 65_536, 2, 9_000_000].map((size) => randomBytes(size));
    const expected = truth(form, Buffer.concat(chunks));
    for (const chunk of chunks) {
      await digest.update(chunk);
      chunk.fill(0);
    }
    expect(await digest.value()).toBe(expected);
    digest.abandon();
  });

  it('in another thread can be given up', async () => {
    const digest = startWorkerDigest('d');
    await digest.update(randomBytes(3_000_000));
    digest.abandon();
    await expect(digest.value()).rejects.toBeInstanceOf(RetryableError);
  });

  it('in other threads are many at once, and do not mind one that is given up', async () => {
    const chunks = Array.from({ length: 40 }, () => randomBytes(300_000));
    const given = startWorkerDigest('d');
    await given.update(randomBytes(10));
    const values = Array.from({ length: 9 }, async (_, nth) => {
      const digest = startWorkerDigest('s');
      const mine = chunks.slice(nth);
      for (const chunk of mine) await digest.update(chunk);
      if (nth === 4) given.abandon();
      expect(await digest.value()).toBe(truth('s', Buffer.concat(mine)));
    });
    await Promise.all(values);
    await expect(given.value()).rejects.toBeInstanceOf(RetryableError);
  });

  it('of large data do not run in this thread', async () => {
    const small = openDigest('d', workerSize);
    expect(small.update(Buffer.from('x'))).toBeUndefined();
    const large = openDigest('d', workerSize + 1);
    expect(large.update(Buffer.from('x'))).toBeInstanceOf(Promise);
    expect(await large.value()).toBe(await small.value());
    large.abandon();
  });
});

describe('digests of files', () => {
  it.each([
    [0, undefined],
    [0, 3_000_000],
    [0, 0],
    [1_000_000, 1_000_001],
    [2_999_999, 1],
    [2_999_999, 100],
    [4_000_000, 5],
  ])('cover exactly the block from %i, %s long', async (offset, length) => {
    const data = randomBytes(3_000_000);
    const path = join(scratch(), 'file');
    writeFileSync(path, data);
    const file = await open(path);
    const block = data.subarray(offset, length === undefined ? undefined : offset + length);
    const found = await digestOfFile(file, 's', length === undefined ? { offset } : { offset, length });
    expect(found).toEqual({ value: truth('s', block), size: block.byteLength });
    await file.close();
  });

  it('work above the size at which another thread computes', async () => {
    const path = join(scratch(), 'file');
    writeFileSync(path, Buffer.alloc(workerSize + 12345, 'ab'));
    const file = await open(path);
    const found = await digestOfFile(file, 'd');
    expect(found).toEqual({
      value: truth('d', Buffer.alloc(workerSize + 12345, 'ab')),
      size: workerSize + 12345,
    });
    await file.close();
  });

  it('end when stopped', async () => {
    const path = join(scratch(), 'file');
    writeFileSync(path, 'x');
    const file = await open(path);
    await expect(digestOfFile(file, 'd', { stop: AbortSignal.abort() })).rejects.toBeInstanceOf(
      RetryableError,
    );
    await file.close();
  });
});
