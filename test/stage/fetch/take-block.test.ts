import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type BlockFile, makeBlockFile } from '../../../src/file/assembling.js';
import { openRoot } from '../../../src/file/inside.js';
import { takeBlock } from '../../../src/stage/fetch/take-block.js';
import { scratch } from '../../file/scratch.js';
import { md5 } from '../items.js';

async function into<T>(directory: string, offset: number, use: (file: BlockFile) => Promise<T>): Promise<T> {
  const root = openRoot(directory);
  const file = makeBlockFile(root, 'f', { offset });
  try {
    const result = await use(file);
    await file.finish(false);
    return result;
  } finally {
    await file.close();
    root.close();
  }
}

async function* pieces(data: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += 65_536)
    yield await Promise.resolve(data.subarray(at, at + 65_536));
}
const refuse = (bytes: number): never => {
  throw new Error(`${bytes} bytes`);
};

it.each([1000, 3 * 1024 * 1024 + 5])(
  'takes a block of %d bytes to its place, and tells its sum',
  async (size) => {
    const directory = scratch();
    const data = randomBytes(size);
    writeFileSync(join(directory, 'f'), 'before');
    expect(await into(directory, 6, (file) => takeBlock(pieces(data), file, 'd', size, refuse))).toBe(
      md5(data),
    );
    expect(readFileSync(join(directory, 'f')).equals(Buffer.concat([Buffer.from('before'), data]))).toBe(
      true,
    );
  },
);

it('takes neither more bytes than a block has, nor fewer', async () => {
  const size = 3 * 1024 * 1024;
  const take = (length: number): Promise<unknown> =>
    into(scratch(), 0, (file) => takeBlock(pieces(Buffer.alloc(size)), file, 's', length, refuse));
  await expect(take(size + 1)).rejects.toThrow(`${size} bytes`);
  await expect(take(size - 1)).rejects.toThrow(`${size} bytes`);
});
