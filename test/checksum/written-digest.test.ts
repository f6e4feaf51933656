import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWrittenDigest } from '../../src/checksum/written-digest.js';

let directory: string;
let descriptor: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'written-'));
  descriptor = openSync(join(directory, 'file'), 'w+');
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(directory, { recursive: true });
});

describe('a digest of what is being written to a file', () => {
  it('is that of the bytes from its offset on, however they come', async () => {
    const data = randomBytes(5 * 1024 * 1024 + 7);
    writeSync(descriptor, 'before', 0);
    const digest = startWrittenDigest('d', descriptor, 6);
    let size = 0;
    for (const length of [1, 70_000, 2 * 1024 * 1024, 0, 1_500_000, data.length]) {
      const piece = data.subarray(size, size + length);
      if (piece.length > 0) writeSync(descriptor, piece, 0, piece.length, 6 + size);
      size += piece.length;
      await digest.written(size);
    }
    expect(await digest.value()).toBe(createHash('md5').update(data).digest('hex'));
    await digest.abandon();
  });

  it('waits for who reads when there is much to be read', async () => {
    const data = Buffer.alloc(40 * 1024 * 1024, 'x');
    writeSync(descriptor, data, 0, data.length, 0);
    const digest = startWrittenDigest('s', descriptor, 0);
    expect(digest.written(1024 * 1024)).toBe(undefined);
    expect(digest.written(data.length)).toBeInstanceOf(Promise);
    await digest.written(data.length);
    expect(await digest.value()).toBe(createHash('sha512').update(data).digest('hex'));
    await digest.abandon();
  });

  it('fails when the file has become shorter meanwhile', async () => {
    writeSync(descriptor, 'a few bytes', 0);
    const digest = startWrittenDigest('d', descriptor, 0);
    await digest.written(4 * 1024 * 1024);
    await expect(digest.value()).rejects.toThrow(/cannot compute a checksum: .*shorter/u);
    await digest.abandon();
  });

  it('that is given up ends when nobody reads any more, and leaves the others alone', async () => {
    const data = randomBytes(8 * 1024 * 1024);
    writeSync(descriptor, data, 0, data.length, 0);
    const [kept, dropped] = [startWrittenDigest('d', descriptor, 0), startWrittenDigest('d', descriptor, 0)];
    for (const digest of [kept, dropped]) await digest.written(data.length);
    await dropped.abandon();
    await dropped.abandon();
    await expect(dropped.value()).rejects.toThrow(/given up/u);
    expect(await kept.value()).toBe(createHash('md5').update(data).digest('hex'));
    await kept.abandon();
  });
});
