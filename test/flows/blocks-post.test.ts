import { readFileSync } from 'node:fs';
import { appendFile, truncate, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Heard, type Listener, listen } from '../servers/listener.js';
import { type Source, makeSource } from '../servers/source.js';

/* sr_post and files in blocks, as whole programs: hooks, pace, spool, memory, and what the exit code says. */

let source: Source;
let heard: Listener;

beforeEach(async () => {
  source = await makeSource();
  heard = await listen(source.host, source.exchange);
});
afterEach(() => source.end());

const MIB = 1024 * 1024;
const partsOf = ({ headers }: Heard): string => String(headers['parts']);

async function told(): Promise<readonly Heard[]> {
  await heard.settle();
  return heard.all();
}

async function letters(name: string): Promise<string> {
  const path = join(source.tree, name);
  await writeFile(path, 'abcdefghijklmnopqrstuvwxyz');
  return path;
}

const inTen = ['i,10,3,6,0', 'i,10,3,6,1', 'i,10,3,6,2'];

describe('sr_post of a file in blocks', () => {
  it('announces all that share one date, the last one shorter than the others', async () => {
    const path = await letters('f');
    const cut = await source.home.run('sr_post', source.posting('--blocksize', '13', path));
    expect([cut.code, cut.stderr]).toEqual([0, cut.stderr]);
    expect(cut.stderr).toMatch(/^1 files \(2 blocks\), 26 B in /mu);
    const posts = await told();
    expect(posts.map(partsOf)).toEqual(['i,14,2,12,0', 'i,14,2,12,1']);
    expect(posts.map(({ headers }) => headers['sum'])).toEqual(
      ['abcdefghijklmn', 'opqrstuvwxyz'].map((text) => `d,${createHash('md5').update(text).digest('hex')}`),
    );
    expect(new Set(posts.map(({ body }) => body)).size).toBe(1);
  });

  it('shows each block to on_post, and announces those that it lets pass', async () => {
    const plugin = await source.home.plugin(
      'odd.mjs',
      `export const on_post = ({ next }) => next.change.parts.number !== 1;`,
      0o644,
    );
    const path = await letters('f');
    const ended = await source.home.run(
      'sr_post',
      source.posting('--blocksize', '10', '--on_post', plugin, path),
    );
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(/post: .* parts=i,10,3,6,2/u);
    expect((await told()).map(partsOf)).toEqual([inTen[0], inTen[2]]);
  });

  it('keeps the blocks on disk while the broker is away, and posts them in their order', async () => {
    const path = await letters('f');
    source.brokerGoes();
    const spooled = await source.home.run('sr_post', source.posting('--spool', '--parts', 'i,10', path));
    expect(spooled.stderr).toMatch(/; 3 kept on disk; 3 waiting in /u);
    expect(spooled.code).toBe(0);
    source.brokerComes();
    const drained = await source.home.run('sr_post', ['--drain', ...source.options]);
    expect([drained.code, drained.stderr]).toEqual([0, drained.stderr]);
    expect((await told()).map(partsOf)).toEqual(inTen);
  });

  it('suppresses blocks that were announced before, until the file changes', async () => {
    const path = await letters('f');
    await source.home.configure('post', 'c', [...source.lines, 'suppress_duplicates 1h', 'blocksize 10']);
    const post = async (): Promise<number> => {
      const before = (await told()).length;
      const ended = await source.home.run('sr_post', ['-c', 'c', path]);
      expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
      return (await told()).length - before;
    };
    expect(await post()).toBe(3);
    expect(await post()).toBe(0);
    await appendFile(path, '!');
    expect(await post()).toBe(3);
  });

  it('ends with 1 when a file does not stop changing, and names it', async () => {
    const path = await letters('f');
    const plugin = await source.home.plugin(
      'grow.mjs',
      `import { appendFileSync } from 'node:fs';
       export const on_post = () => appendFileSync(${JSON.stringify(path)}, 'x');`,
      0o644,
    );
    const ended = await source.home.run(
      'sr_post',
      source.posting('--blocksize', '10', '--on_post', plugin, path),
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      /\[WARNING\].*f changed while it was read: posted again, its first changed/u,
    );
    expect(ended.stderr).toMatch(/not posted: .*f changes while it is read: post it when it is complete/u);
  });

  it('holds no file in memory, however large', async () => {
    const size = (process.env['SR_LONG'] === undefined ? 400 : 4096) * MIB;
    const path = join(source.tree, 'huge');
    await writeFile(path, '');
    await truncate(path, size);
    const plugin = await source.home.plugin(
      'peak.mjs',
      `import { readFileSync } from 'node:fs';
       export const on_stop = () => console.error(/VmHWM:.*/u.exec(readFileSync('/proc/self/status', 'utf8'))[0]);`,
      0o644,
    );
    const ended = await source.home.run(
      'sr_post',
      source.posting('--blocksize', '50M', '--on_stop', plugin, path),
    );
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await told()).toHaveLength(Math.ceil(size / (50 * MIB + 1)));
    const peak = Number(/VmHWM:\s*(\d+) kB/u.exec(ended.stderr)?.[1]) / 1024;
    expect(peak).toBeGreaterThan(10);
    expect(peak).toBeLessThan(150);
  });

  it('of a stored block keeps to its name, and refuses one that has another length', async () => {
    const path = join(source.tree, 'alpha.10.3.6.2.d.Part');
    await writeFile(path, 'uvwxyz');
    const good = await source.home.run('sr_post', source.posting('--blocksize', '3', path));
    expect([good.code, good.stderr]).toEqual([0, good.stderr]);
    const [only, ...more] = await told();
    expect(more).toEqual([]);
    expect(only?.headers).toMatchObject({
      parts: 'p,10,3,6,2',
      sum: `d,${createHash('md5').update(readFileSync(path)).digest('hex')}`,
    });
    await writeFile(path, 'uvwxy');
    const bad = await source.home.run('sr_post', source.posting('--blocksize', '3', path));
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/5 bytes, but its name says 6/u);
  });
});

describe('sr_post of a file that is still written', () => {
  it('announces what is new at each look, and the end when it is quiet', async () => {
    const path = await letters('log');
    const words = ['--sleep', '0.1', '--quiet', '5', '--blocksize', '10'];
    const running = source.home.start('sr_post', source.posting(...words, path));
    const lastOf = (parts: string) => (post: Heard) => partsOf(post) === parts;
    await heard.until('the end of the first version', lastOf('i,10,3,6,2'));
    await appendFile(path, 'ABCDEFGH');
    await heard.until('the end of the second version', lastOf('i,10,4,4,3'));
    await appendFile(path, 'I');
    const ended = await running.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(/log may grow: followed until it has not changed for 5 s/u);
    const posts = await told();
    expect(posts.map(partsOf)).toEqual([
      ...inTen,
      ...['i,10,4,4,2', 'i,10,4,4,3'],
      ...['i,10,4,5,3', 'i,10,4,5,3'],
    ]);
    const growth = posts.map(({ headers }) => String(headers['growth']));
    expect(growth.at(-1)).toBe(`${growth[0] ?? ''},end`);
    expect(new Set(growth.slice(0, -1)).size).toBe(1);
    expect(posts.at(-1)?.headers['sum']).toBe(`d,${createHash('md5').update('EFGHI').digest('hex')}`);
  });

  it('ends with 1 when it is stopped before the end', async () => {
    const path = await letters('log');
    const words = ['--sleep', '0.1', '--quiet', '1h', '--blocksize', '10'];
    const running = source.home.start('sr_post', source.posting(...words, path));
    await heard.count(3);
    running.kill('SIGTERM');
    const ended = await running.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/not posted: .*log: stopped/u);
  });
});
