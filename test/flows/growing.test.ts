import { createHash, randomBytes } from 'node:crypto';
import { appendFile, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { brokerOf } from '../servers/programs.js';
import { type Source, makeSource } from '../servers/source.js';

/* A file that is still written, from whoever writes it to whoever has a copy that grows with it. */

const long = process.env['SR_LONG'] !== undefined;
/** Seconds from one look to the next, and for which is appended without a pause. */
const [interval, lasting] = long ? [1, 60] : [0.1, 1];

let source: Source;

beforeEach(async () => {
  source = await makeSource();
});
afterEach(() => source.end());

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex');

/** Says which block is in its place, and when the file is whole. */
const telling = `
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
const at = (path) => createHash('md5').update(readFileSync(path)).digest('hex');
export const on_part = ({ announcement: { change } }) =>
  console.error('part ' + change.parts.number + ' ' + change.sum.value);
export const on_file = ({ path }) => console.error('file ' + at(path));
`;

/** Once for each of these: a copy that is put together aside, and one that grows in place. */
const ways: readonly (readonly string[])[] = [[], ['inplace on']];

/** Copies of the tree, each made by a subscriber of its own. */
const subscribing = (plugin: string) =>
  Promise.all(
    ways.map(async (lines, number) => {
      const target = join(source.home.directory, `copy${number}`);
      await source.home.configure('subscribe', `c${number}`, [
        `broker ${brokerOf(source.host, source.user)}`,
        `exchange ${source.exchange}`,
        `directory ${target}`,
        'mirror on',
        'report_back off',
        `plugin ${plugin}`,
        ...lines,
        'accept .*',
      ]);
      const subscriber = source.home.start('sr_subscribe', ['foreground', `c${number}`]);
      await subscriber.line(/keeps messages/u);
      return { subscriber, target, isInPlace: lines.length > 0 };
    }),
  );

const following = (quiet: number, path: string): string[] => [
  ...source.options,
  ...['--post_base_url', 'file:', '--blocksize', '1000'],
  ...['--sleep', String(interval), '--quiet', String(quiet), path],
];

/** Bytes of a copy, wherever it grows. */
async function sizeOf(target: string, path: string): Promise<number> {
  const directory = join(target, dirname(path));
  const names = await readdir(directory);
  const sizes = names.map(async (name) => (await stat(join(directory, name))).size);
  return Math.max(0, ...(await Promise.all(sizes)));
}

/**
 * Appends for a time, little by little. Answers what was appended, and for each target by how many seconds it was late
 * when it was looked at: the age of the first byte that it had not yet.
 */
async function appending(path: string, targets: readonly string[]) {
  const written: { readonly size: number; readonly at: number }[] = [];
  const added: Buffer[] = [];
  const lags = targets.map((): number[] => []);
  let { size } = await stat(path);
  const add = async (length: number): Promise<void> => {
    const more = randomBytes(length);
    await appendFile(path, more);
    added.push(more);
    size += length;
    written.push({ size, at: performance.now() });
  };
  for (const end = performance.now() + lasting * 1000; performance.now() < end; await pause(25)) {
    await add(1 + Math.floor(Math.random() * 400));
    for (const [index, target] of targets.entries()) {
      const has = await sizeOf(target, path);
      const missing = written.find((one) => one.size > has);
      lags[index]?.push(missing === undefined ? 0 : (performance.now() - missing.at) / 1000);
    }
  }
  // Not to the end of a block, which is told otherwise.
  await add(1500 - (size % 1000));
  return { added: Buffer.concat(added), lags: lags.map((all) => all.sort((one, other) => one - other)) };
}

describe('a file that is appended to', () => {
  it('grows where it is received, aside or in place, and is told of once, at its end', async () => {
    const path = join(source.tree, 'log');
    let content = randomBytes(2500);
    await writeFile(path, content);
    const copies = await subscribing(await source.home.plugin('tell.mjs', telling, 0o644));
    // Long enough for a slow machine: the file must not seem complete before all has been appended.
    const poster = source.home.start('sr_post', following(10, path));
    const add = async (added: Buffer): Promise<void> => {
      content = Buffer.concat([content, added]);
      const last = Math.floor(content.length / 1000);
      const said = new RegExp(`part ${last} ${md5(content.subarray(last * 1000))}`, 'u');
      for (const { subscriber, target, isInPlace } of copies) {
        await subscriber.line(said);
        if (isInPlace) expect((await readFile(join(target, path))).length).toBe(content.length);
      }
    };
    for (const more of [0, 700, 1900, 13]) {
      const added = randomBytes(more);
      await appendFile(path, added);
      await add(added);
    }
    const { added, lags } = await appending(
      path,
      copies.map(({ target }) => target),
    );
    await add(added);
    const ended = await poster.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    for (const { subscriber, target } of copies) {
      await subscriber.line(/file [0-9a-f]{32}/u);
      const { stderr } = await subscriber.stop();
      expect(stderr.match(/file [0-9a-f]{32}/gu), stderr).toEqual([`file ${md5(content)}`]);
      expect((await readFile(join(target, path))).equals(content)).toBe(true);
      expect(await readdir(join(target, source.tree))).toEqual(['log']);
    }
    if (!long) return;
    for (const all of lags) {
      const [usual = 0, worst = 0] = [all[Math.floor(all.length / 2)], all.at(-1)];
      console.log(`late by ${usual.toFixed(2)} s, at worst ${worst.toFixed(2)} s, with ${interval} s a look`);
      expect(usual).toBeLessThan(interval);
    }
  });

  it('may go on when its end was told, also while that is still being installed', async () => {
    const go = join(source.home.directory, 'go');
    const slowly = `${telling.replace(/export const on_file.*/u, '')}
import { existsSync } from 'node:fs';
export const on_file = async ({ path }) => {
  console.error('file ' + at(path));
  while (!existsSync(${JSON.stringify(go)})) await new Promise((done) => setTimeout(done, 20));
};
`;
    const path = join(source.tree, 'log');
    const copies = await subscribing(await source.home.plugin('slowly.mjs', slowly, 0o644));
    /** As young as it must be to be followed, however long that takes. */
    const told = async (content: Buffer): Promise<void> => {
      await writeFile(path, content);
      await utimes(path, Date.now() / 1000, Date.now() / 1000 + 600);
      const poster = await source.home.run('sr_post', following(1, path));
      expect([poster.code, poster.stderr]).toEqual([0, poster.stderr]);
      expect(poster.stderr).toContain('may grow');
    };
    const first = randomBytes(2500);
    await told(first);
    const said = `file ${md5(first)}`;
    for (const { subscriber } of copies) await subscriber.line(new RegExp(said, 'u'));
    const second = Buffer.concat([first, randomBytes(1700)]);
    await told(second);
    await writeFile(go, '');
    for (const { subscriber, target } of copies) {
      await subscriber.line(new RegExp(`file ${md5(second)}`, 'u'));
      const { stderr } = await subscriber.stop();
      expect(stderr.match(/file [0-9a-f]{32}/gu), stderr).toEqual([said, `file ${md5(second)}`]);
      expect((await readFile(join(target, path))).equals(second)).toBe(true);
      expect(await readdir(join(target, source.tree))).toEqual(['log']);
    }
  });
});
