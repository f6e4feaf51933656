import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { appendFileSync, closeSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { digestOfRange } from '../../src/checksum/block-digest.js';
import { digestInThread } from '../../src/checksum/read-thread.js';
import { RetryableError } from '../../src/errors.js';
import { scratch } from '../file/scratch.js';

const MIB = 1024 * 1024;

let path = '';
beforeEach(() => {
  path = join(scratch(), 'f');
});

function sized(size: number): void {
  writeFileSync(path, '');
  truncateSync(path, size);
}

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex');

describe('digests of ranges in other threads', () => {
  it('are those of just these bytes, however many are asked for at once', async () => {
    const content = Buffer.alloc(40 * MIB + 5, 'no two words are alike ');
    writeFileSync(path, content);
    const file = await open(path);
    const offsets = Array.from({ length: 14 }, (_, index) => index * 3 * MIB);
    const digests = await Promise.all(
      offsets.map((offset) => digestOfRange(file, 'd', { offset, length: 3 * MIB })),
    );
    await file.close();
    for (const [index, { value, size, after }] of digests.entries()) {
      const bytes = content.subarray(index * 3 * MIB, (index + 1) * 3 * MIB);
      expect(value).toBe(md5(bytes));
      // The last one ends where the file ends.
      expect(size).toBe(bytes.byteLength);
      expect(after.size).toBe(content.byteLength);
    }
  });

  it.each([100, 3 * MIB])('tell what became of a file of %d bytes meanwhile', async (size) => {
    sized(size);
    const file = await open(path);
    const { mtimeMs } = await file.stat();
    const whole = { offset: 0, length: size };
    expect((await digestOfRange(file, 'd', whole)).after).toEqual({ size, mtimeMs, nlink: 1 });
    appendFileSync(path, 'more');
    rmSync(path);
    expect((await digestOfRange(file, 'd', whole)).after).toMatchObject({ size: size + 4, nlink: 0 });
    await file.close();
  });

  it('are given up when stopped: the one that is read, and those that wait', async () => {
    sized(20_000 * MIB);
    const descriptor = openSync(path, 'r');
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const orders = Array.from({ length: 20 }, () =>
      digestInThread({ descriptor, hash: 'sha512', offset: 0, length: 20_000 * MIB }, stop.signal),
    );
    stop.abort();
    for (const order of await Promise.allSettled(orders))
      expect(order).toMatchObject({
        status: 'rejected',
        reason: new RetryableError('stopped while computing a checksum'),
      });
    // Nobody reads any more, and the threads are free for others.
    const { size } = await digestInThread({ descriptor, hash: 'md5', offset: 5, length: 7 });
    expect(size).toBe(7);
    closeSync(descriptor);
  });

  it('fail when the file cannot be read', async () => {
    sized(10);
    const descriptor = openSync(path, 'a');
    const failed = digestInThread({ descriptor, hash: 'md5', offset: 0, length: 10 });
    await expect(failed).rejects.toThrow(/cannot compute a checksum: .*EBADF/u);
    await expect(failed).rejects.toBeInstanceOf(RetryableError);
    closeSync(descriptor);
  });
});
