import { createHash, randomBytes } from 'node:crypto';
import { appendFile, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { brokerOf } from '../servers/programs.js';
import { type Source, makeSource } from '../servers/source.js';

/* A file that is still written, from whoever writes it to whoever has a copy that grows with it. */

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

describe('a file that is appended to', () => {
  it('grows where it is received, aside or in place, and is told of once, at its end', async () => {
    const plugin = await source.home.plugin('tell.mjs', telling, 0o644);
    const path = join(source.tree, 'log');
    let content = randomBytes(2500);
    await writeFile(path, content);
    const copies = await Promise.all(
      [[], ['inplace on']].map(async (lines, number) => {
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
        return { subscriber, target, isInPlace: number === 1 };
      }),
    );
    // Long enough for a slow machine: the file must not seem complete before all has been appended.
    const words = ['--post_base_url', 'file:', '--blocksize', '1000', '--sleep', '0.1', '--quiet', '10'];
    const poster = source.home.start('sr_post', [...source.options, ...words, path]);
    for (const more of [0, 700, 1900, 13]) {
      const added = randomBytes(more);
      content = Buffer.concat([content, added]);
      await appendFile(path, added);
      const last = Math.floor(content.length / 1000);
      const said = new RegExp(`part ${last} ${md5(content.subarray(last * 1000))}`, 'u');
      for (const { subscriber, target, isInPlace } of copies) {
        await subscriber.line(said);
        if (isInPlace) expect((await readFile(join(target, path))).length).toBe(content.length);
      }
    }
    const ended = await poster.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    for (const { subscriber, target } of copies) {
      await subscriber.line(/file [0-9a-f]{32}/u);
      const { stderr } = await subscriber.stop();
      expect(stderr.match(/file [0-9a-f]{32}/gu), stderr).toEqual([`file ${md5(content)}`]);
      expect((await readFile(join(target, path))).equals(content)).toBe(true);
      expect(await readdir(join(target, source.tree))).toEqual(['log']);
    }
  });
});
