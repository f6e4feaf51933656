import { randomBytes } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listen, type Listener } from '../servers/listener.js';
import { brokerOf } from '../servers/programs.js';
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
    // One file, and as large as it is, not as its last block.
    expect(ended.stderr).toMatch(/^1 files \(4 blocks\), 293 KiB in /mu);
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
    expect(await noted(files)).toEqual([expect.objectContaining({ size: data.length })]);
    await station.drained();
  });

  it('are fetched only where the version that stands here differs; what is the same altogether is left alone', async () => {
    const old = contentOf(5 * BLOCK + 7);
    const changed = Buffer.from(old);
    changed[3 * BLOCK + 5] = (changed[3 * BLOCK + 5] ?? 0) ^ 1;
    const files = join(station.home.directory, 'files');
    await station.configure([`on_file ${await station.home.plugin('note-file', noting(files))}`]);
    await station.put('d/large', old);
    const announceAll = async (date?: string): Promise<void> => {
      for (const number of [4, 0, 3, 5, 1, 2])
        await announce(number, { data: changed, ...(date !== undefined && { date }) });
    };
    await announceAll();
    expect((await station.once()).code).toBe(0);
    expect((await at('d/large')).equals(changed)).toBe(true);
    expect(station.site.asked.map(({ headers }) => headers.range)).toEqual(['bytes=300000-399999']);
    expect(station.codes('d/large').sort()).toEqual([201, 304, 304, 304, 304, 304]);
    expect(await noted(files)).toHaveLength(1);
    const before = (await stat(join(station.tree, 'd/large'))).ino;
    await announceAll();
    expect((await station.once()).code).toBe(0);
    expect(station.codes('d/large').slice(6)).toEqual([304, 304, 304, 304, 304, 304]);
    expect((await stat(join(station.tree, 'd/large'))).ino).toBe(before);
    expect(await noted(files)).toHaveLength(1);
    expect(await station.files()).toEqual(['d/large']);
  });

  it('that are files of their own become the file, too, with whatever label they come', async () => {
    const data = contentOf(2 * BLOCK + 10);
    for (const number of [1, 2]) await announce(number, { data, method: 'p' });
    const last = `d/large.${BLOCK}.3.10.0.d.Part`;
    station.serve(last, data.subarray(0, BLOCK));
    await station.announce(last, {
      headers: { parts: `i,${BLOCK},3,10,0`, sum: `d,${md5(data.subarray(0, BLOCK))}`, mtime: MTIME },
    });
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
    expect(station.site.asked.map(({ headers }) => headers.range)).toEqual([undefined, undefined, undefined]);
  });

  it('of two versions are never mixed: the newer one becomes the file, late ones of the older end', async () => {
    const [old, fresh] = [contentOf(3 * BLOCK + 1), contentOf(3 * BLOCK + 1)];
    const [early, later] = ['20260101130000.000', '20260101140000.000'];
    for (const number of [0, 2]) await announce(number, { data: old, date: early });
    expect((await station.once()).code).toBe(0);
    expect(await station.files()).toEqual([expect.stringMatching(/^d\/\.large\.[0-9a-f]{16}\.inflight$/u)]);
    const newer = { data: fresh, date: later, mtime: '20260101125900' };
    for (const number of [1, 3]) await announce(number, newer);
    expect((await station.once()).code).toBe(0);
    // The server has the new version only, but nothing is asked for any more.
    for (const number of [1, 3]) await announce(number, { data: old, date: early });
    for (const number of [0, 2]) await announce(number, newer);
    expect((await station.once()).code).toBe(0);
    expect((await at('d/large')).equals(fresh)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
    expect(station.codes('d/large').slice(0, 4)).toEqual([201, 201, 201, 201]);
    expect(station.codes('d/large').slice(4).sort()).toEqual([201, 201, 304, 304]);
  });

  it('are told by status while more of them are to come', async () => {
    const data = contentOf(2 * BLOCK);
    await announce(0, { data });
    expect((await station.once()).code).toBe(0);
    const { home } = station;
    await home.run('sr_subscribe', ['start', 'flow']);
    const row = async (): Promise<{ unfinished_files?: number } | undefined> => {
      const { stdout } = await home.run('sr_subscribe', ['status', 'flow', '--json']);
      return (JSON.parse(stdout) as { unfinished_files?: number }[])[0];
    };
    expect(await row()).toMatchObject({ unfinished_files: 1 });
    expect((await home.run('sr_subscribe', ['status', 'flow'])).stdout).toContain('1 file waits for blocks');
    await announce(1, { data });
    await station.drained();
    expect(await row()).toMatchObject({ unfinished_files: 0 });
    await home.run('sr_subscribe', ['stop', 'flow']);
  });

  it('with wrong bytes are refused, and the file waits for right ones', async () => {
    const data = contentOf(BLOCK + 20);
    await announce(0, { data });
    await announce(1, { data });
    const spoilt = Buffer.from(data);
    spoilt[BLOCK + 3] = (spoilt[BLOCK + 3] ?? 0) ^ 1;
    station.serve('d/large', spoilt);
    const ended = await station.once();
    expect(ended.code).toBe(1);
    expect(station.codes('d/large').sort()).toEqual([201, 499]);
    expect(await station.at('d/large')).toBe(undefined);
    await announce(1, { data });
    expect((await station.once()).code).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
  });

  it('are written into the target where inplace asks for it, and end it where it is to end', async () => {
    const data = contentOf(2 * BLOCK + 50);
    const files = join(station.home.directory, 'files');
    const hook = `on_file ${await station.home.plugin('note-file', noting(files))}`;
    await station.configure(['inplace on', hook]);
    await station.put('d/large', Buffer.alloc(4 * BLOCK, 'o'));
    for (const number of [2, 1]) await announce(number, { data });
    expect((await station.once()).code).toBe(0);
    const half = await at('d/large');
    expect(half.length).toBe(4 * BLOCK);
    expect(half.subarray(0, BLOCK).every((byte) => byte === 111)).toBe(true);
    expect(half.subarray(BLOCK, data.length).equals(data.subarray(BLOCK))).toBe(true);
    expect(await noted(files)).toHaveLength(0);
    await announce(0, { data });
    expect((await station.once()).code).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await noted(files)).toHaveLength(1);
    expect(await station.files()).toEqual(['d/large']);
  });
});

describe('blocks whose file is not where it was', () => {
  const hidden = async (): Promise<string> => {
    const [file = 'none', ...more] = await station.files();
    expect(more).toEqual([]);
    expect(file).toMatch(/\.inflight$/u);
    return join(station.tree, file);
  };
  const announceAll = async (data: Buffer, numbers: readonly number[]): Promise<void> => {
    for (const number of numbers) await announce(number, { data });
  };
  const ranges = (): readonly unknown[] => station.site.asked.map(({ headers }) => headers.range).sort();

  it.each([
    ['the hidden file', [] as string[], async () => rm(await hidden())],
    ['the target, with inplace on,', ['inplace on'], () => rm(join(station.tree, 'd/large'))],
    ['the whole directory', [], () => rm(join(station.tree, 'd'), { recursive: true })],
  ])('come again where somebody has removed %s between two of them', async (_name, lines, remove) => {
    await station.configure(lines);
    const data = contentOf(3 * BLOCK + 7);
    await announceAll(data, [0, 3]);
    expect((await station.once()).code).toBe(0);
    await remove();
    await announceAll(data, [2, 1]);
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr + ended.stdout).toContain('the file in which its blocks gather is gone');
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
    expect(station.codes('d/large')).toEqual([201, 201, 201, 201]);
    const [first, last] = ['bytes=0-99999', 'bytes=300000-300006'];
    expect(ranges()).toEqual([first, first, 'bytes=100000-199999', 'bytes=200000-299999', last, last]);
  });

  it('come again where somebody removes it while the last of them is fetched', async () => {
    const data = contentOf(2 * BLOCK + 7);
    await announceAll(data, [0, 1]);
    expect((await station.once()).code).toBe(0);
    const file = await hidden();
    let isRemoved = false;
    await announceAll(data, [2]);
    station.serve('d/large', async () => {
      if (!isRemoved) await rm(file);
      isRemoved = true;
      return data;
    });
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
  });

  it('gather where they began to, when inflight says something else now', async () => {
    const data = contentOf(3 * BLOCK + 7);
    await announceAll(data, [0, 3]);
    expect((await station.once()).code).toBe(0);
    await station.configure(['inflight part/']);
    await announceAll(data, [2, 1]);
    expect((await station.once()).code).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
    expect(ranges()).toHaveLength(4);
  });

  it.each([
    ['on', [], ['inplace on']],
    ['off again', ['inplace on'], []],
  ])('are fetched to where they belong when inplace is switched %s', async (_name, before, after) => {
    await station.configure(before);
    const data = contentOf(3 * BLOCK + 7);
    await announceAll(data, [0, 3]);
    expect((await station.once()).code).toBe(0);
    await station.configure(after);
    await announceAll(data, [2, 1]);
    expect((await station.once()).code).toBe(0);
    expect((await at('d/large')).equals(data)).toBe(true);
    expect(await station.files()).toEqual(['d/large']);
    expect(station.codes('d/large')).toEqual([201, 201, 201, 201]);
  });
});

describe('what those further down hear of blocks', () => {
  const posting = async (...lines: string[]): Promise<Listener> => {
    await station.host.exchange('xout');
    const posts = await listen(station.host, 'xout');
    await station.configure([
      ...lines,
      `post_broker ${brokerOf(station.host, station.user)}`,
      'post_exchange xout',
      'post_base_url http://pump/',
      `post_base_dir ${station.tree}`,
    ]);
    return posts;
  };
  const heard = (posts: Listener): string[] =>
    posts
      .all()
      .map(
        ({ body, headers }) =>
          `${body.split(' ').slice(1).join(' ')} ${String(headers['parts'])} ${String(headers['sum'])}`,
      )
      .sort();

  it('one whole file when it was put together aside', async () => {
    const data = contentOf(2 * BLOCK + 5);
    const posts = await posting();
    for (const number of [2, 0, 1]) await announce(number, { data });
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    await posts.settle();
    expect(heard(posts)).toEqual([`http://pump/ /d/large 1,${data.length},1,0,0 d,${md5(data)}`]);
  });

  it.each([
    ['inplace on', 'i', () => ''],
    ['inplace off', 'p', (number: number) => `.${BLOCK}.3.5.${number}.d.Part`],
  ])('every block with %s', async (line, method, suffix) => {
    const data = contentOf(2 * BLOCK + 5);
    const posts = await posting(line);
    for (const number of [2, 0, 1]) await announce(number, { data });
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    await posts.settle();
    const blocks = [0, 1, 2].map((number) => data.subarray(number * BLOCK, (number + 1) * BLOCK));
    expect(heard(posts)).toEqual(
      blocks.map(
        (block, number) =>
          `http://pump/ /d/large${suffix(number)} ${method},${BLOCK},3,5,${number} d,${md5(block)}`,
      ),
    );
    if (method === 'i') expect((await at('d/large')).equals(data)).toBe(true);
    else
      for (const [number, block] of blocks.entries())
        expect((await at(`d/large${suffix(number)}`)).equals(block)).toBe(true);
  });
});

describe('blocks of strangers', () => {
  it('with impossible numbers are refused with a record, and leave nothing', async () => {
    const impossible = [
      'i,0,3,0,0',
      'i,-10,3,0,0',
      'i,10,0,0,0',
      'i,10,3,10,0',
      'i,10,3,4,3',
      'i,10,3,4,99999999999999999999',
      'i,9007199254740991,3,0,1',
      'i,10,3,4',
      'p,10,3,4,0,0',
      'q,10,3,4,0',
      // More than anybody keeps a list of.
      'i,10,1000000000,0,999999999',
      'i,1,1000001,0,5',
    ];
    for (const [index, parts] of impossible.entries())
      await station.announce(`bad/${index}`, { headers: { parts, sum: `d,${md5('x')}` } });
    const ended = await station.once();
    expect(ended.code).toBe(1);
    for (const index of impossible.keys())
      expect(station.codes(`bad/${index}`), impossible[index]).toEqual([417]);
    expect(station.site.asked).toEqual([]);
    expect(await station.files()).toEqual([]);
    await station.drained();
  });

  it('that lie about the file behind them take no more room than they bring', async () => {
    await station.configure(['attempts 1', 'retry off']);
    const data = contentOf(1000);
    const lies: readonly (readonly [parts: string, sum: string])[] = [
      // Behind the end of the file.
      ['i,500,20,7,9', md5('x')],
      // Bytes that are not there.
      ['i,600,3,7,1', md5(data.subarray(600))],
      ['p,600,3,7,0', md5(data.subarray(0, 600))],
      // The last block of a file of eight tebibytes.
      ['i,8796093022,1000,1,999', md5('x')],
    ];
    for (const [index, [parts, sum]] of lies.entries()) {
      station.serve(`lie/${index}`, data);
      await station.announce(`lie/${index}`, { headers: { parts, sum: `d,${sum}` } });
    }
    const ended = await station.once();
    expect(ended.code).toBe(1);
    for (const index of lies.keys()) expect(station.codes(`lie/${index}`), lies[index]?.[0]).toEqual([499]);
    const left = await station.files();
    for (const path of left) expect((await stat(join(station.tree, path))).blocks).toBeLessThan(100);
    await station.drained();
  });
});
