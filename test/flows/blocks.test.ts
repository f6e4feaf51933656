import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeStation, md5, type Station } from '../servers/station.js';

/*
 * Files that are announced in blocks, and what becomes of them here. Blocks are published as existing programs do, and
 * fetched by range from a web server.
 */

const BLOCK = 100_000;
const MTIME = '20260101120000.5';

let station: Station;
beforeEach(async () => {
  station = await makeStation();
});
afterEach(async () => {
  await station.end();
});

const contentOf = (size: number): Buffer => randomBytes(size);

interface Layout {
  readonly data: Buffer;
  readonly method?: 'i' | 'p';
  readonly blockSize?: number;
  readonly mtime?: string;
  readonly date?: string;
  readonly path?: string;
}

/** Announces one block as existing programs do. */
async function announce(
  number: number,
  { data, method = 'i', blockSize = BLOCK, ...more }: Layout,
): Promise<void> {
  const { mtime = MTIME, date, path = 'd/large' } = more;
  const count = Math.ceil(data.length / blockSize);
  const remainder = data.length % blockSize;
  const content = data.subarray(number * blockSize, (number + 1) * blockSize);
  const suffix = `.${blockSize}.${count}.${remainder}.${number}.d.Part`;
  const named = method === 'p' ? path + suffix : path;
  if (method === 'p') station.serve(named, content);
  else station.serve(named, data);
  await station.announce(named, {
    headers: {
      parts: `${method},${blockSize},${count},${remainder},${number}`,
      sum: `d,${md5(content)}`,
      mtime,
      mode: '640',
    },
    ...(date !== undefined && { date }),
  });
}

const at = (path: string): Promise<Buffer> => readFile(join(station.tree, path));

/** A trigger that writes down what it was asked about. */
const noting = (file: string): string => `#!${process.execPath}
const text = require('node:fs').readFileSync(0, 'utf8');
require('node:fs').appendFileSync(${JSON.stringify(file)}, text.trim() + '\\n');
`;

async function noted(file: string): Promise<{ path: string; parts?: string }[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { path: string });
}

describe('blocks of a file', () => {
  it('become the file, in any order: one trigger, one record each, nothing left beside it', async () => {
    const data = contentOf(3 * BLOCK + 321);
    const [parts, files] = [join(station.home.directory, 'parts'), join(station.home.directory, 'files')];
    const onPart = await station.home.plugin('note-part', noting(parts));
    const onFile = await station.home.plugin('note-file', noting(files));
    await station.configure([`on_part ${onPart}`, `on_file ${onFile}`]);
    for (const number of [3, 0, 2, 1]) await announce(number, { data });
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
    const found = await stat(join(station.tree, 'd/large'));
    expect(found.mode & 0o777).toBe(0o640);
    expect(found.mtime.toISOString()).toBe('2026-01-01T12:00:00.500Z');
    expect(station.codes('d/large')).toEqual([201, 201, 201, 201]);
    expect(station.site.asked.map(({ headers }) => headers.range).sort()).toEqual([
      'bytes=0-99999',
      'bytes=100000-199999',
      'bytes=200000-299999',
      'bytes=300000-300320',
    ]);
    expect(await noted(parts)).toHaveLength(4);
    expect(await noted(files)).toHaveLength(1);
    await station.drained();
  });
});
