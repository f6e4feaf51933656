import { mkdir, readFile, readdir, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Listener, listen } from '../servers/listener.js';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { stamp } from '../servers/station.js';
import { type TestHost, type TestUser, testHost } from '../servers/rabbitmq.js';

/* What a pump announces is sent to a receiver. Whole programs and a real broker; the receiver is a disk of this machine. */

let host: TestHost;
let user: TestUser;
let home: Home;
let log: Listener;
let data: string;
let receiver: string;

beforeEach(async () => {
  host = await testHost();
  user = await host.user('feeder');
  home = await makeHome(host, [user]);
  await host.exchange('xpublic');
  await host.exchange(`xs_${user.name}`);
  log = await listen(host, `xs_${user.name}`);
  data = join(home.directory, 'data');
  receiver = join(home.directory, 'receiver');
  await mkdir(data);
  await mkdir(receiver);
});
afterEach(async () => {
  await home.remove();
  await host.remove();
});

const put = async (path: string, content: string | Uint8Array): Promise<string> => {
  const file = join(data, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
};

/** Writes the configuration, and makes its queue. */
async function sender(...lines: string[]): Promise<void> {
  await home.configure('sender', 'out', [
    `broker ${brokerOf(host, user)}`,
    `destination file:${receiver}`,
    `base_dir ${data}`,
    ...lines,
  ]);
  const made = await home.run('sr_sender', ['setup', 'out']);
  expect(made.code, made.stderr).toBe(0);
}

const post = async (...words: string[]): Promise<void> => {
  const posted = await home.run('sr_post', [
    ...['--post_broker', brokerOf(host, user), '--post_exchange', 'xpublic'],
    ...['--post_base_url', 'http://data.example.org/', '--post_base_dir', data, ...words],
  ]);
  expect(posted.code, posted.stderr).toBe(0);
};

const send = async (...words: string[]): Promise<string> => {
  const ended = await home.run('sr_sender', [...words, '--once', 'foreground', 'out']);
  expect(ended.code, ended.stderr).toBe(0);
  return ended.stderr;
};

const at = (path: string): string => join(receiver, path);
const textAt = (path: string): Promise<string> => readFile(at(path), 'utf8');
const treeOf = async (): Promise<readonly string[]> => (await readdir(receiver, { recursive: true })).sort();

describe('sr_sender', () => {
  it('sends a tree as it is, with modes and times, and says so', async () => {
    await sender();
    await put('a/one', 'one');
    await put('a/b/two words', 'two');
    await put('empty', '');
    await put('large', Buffer.alloc(3_000_000, 'x'));
    await post(data);
    const said = await send();
    expect(said).toMatch(/4 taken = 4 done \(201: 4\)/);
    expect(said).toContain(`sent: ${join(data, 'a/one')}`);
    expect(await treeOf()).toEqual(['a', 'a/b', 'a/b/two words', 'a/one', 'empty', 'large']);
    expect(await textAt('a/b/two words')).toBe('two');
    expect((await readFile(at('large'))).equals(await readFile(join(data, 'large')))).toBe(true);
    for (const path of ['a/one', 'large']) {
      const [there, here] = [await stat(at(path)), await stat(join(data, path))];
      expect(Math.trunc(there.mtimeMs)).toBe(Math.trunc(here.mtimeMs));
      expect(there.mode).toBe(here.mode);
    }
    expect((await stat(at('a/b'))).mode & 0o777).toBe(0o775);
    await log.count(4);
    expect(log.records().map(({ code, message }) => [code, message])).toEqual(
      Array(4).fill([201, 'Delivered']),
    );
  });

  it('carries removals, links and new names to the receiver', async () => {
    await sender();
    await put('gone', 'x');
    await put('old', 'moved');
    await put('kept', 'kept');
    await post(data);
    await send();
    const { ino } = await stat(at('old'));
    await rm(join(data, 'gone'));
    await symlink('kept', join(data, 'link'));
    await rename(join(data, 'old'), join(data, 'new'));
    await post(join(data, 'link'));
    await post('--move', join(data, 'old'), join(data, 'new'));
    await host.publish('xpublic', 'v02.post', `${stamp()} http://data.example.org/ gone`, {
      sum: 'R,0',
    });
    await send();
    expect(await treeOf()).toEqual(['kept', 'link', 'new']);
    expect(await readlink(at('link'))).toBe('kept');
    expect(await textAt('new')).toBe('moved');
    // The receiver has given it the other name: it was not sent again.
    expect((await stat(at('new'))).ino).toBe(ino);
  });
});

describe('a file that is announced in blocks', () => {
  const large = Buffer.alloc(1_050_000, 'some text that is no text of its own ');
  const blocks = ['--blocksize', '100000'];

  it('has its name on the server when it is whole, and its blocks are there once', async () => {
    await sender('inflight .tmp');
    await put('d/large', large);
    // An older version, and what somebody left who died.
    await mkdir(at('d'));
    await writeFile(at('d/large'), 'older');
    await writeFile(at('d/large.tmp'), Buffer.alloc(2_000_000, 'y'));
    await post(...blocks, '--randomize', data);
    const said = await send();
    expect(said).toMatch(/11 taken = 11 done \(201: 11\)/);
    expect(await treeOf()).toEqual(['d', 'd/large']);
    expect((await readFile(at('d/large'))).equals(large)).toBe(true);
    const [there, here] = [await stat(at('d/large')), await stat(join(data, 'd/large'))];
    expect([Math.trunc(there.mtimeMs), there.mode]).toEqual([Math.trunc(here.mtimeMs), here.mode]);
    expect(said.match(/sent: /gu)).toHaveLength(1);
  });

  it('is announced further down once it is there, block by block', async () => {
    await host.exchange('xdown');
    const down = await listen(host, 'xdown');
    await sender(
      `post_broker ${brokerOf(host, user)}`,
      'post_exchange xdown',
      'post_base_url file:',
      `directory ${receiver}`,
    );
    await put('large', large);
    await writeFile(at('large'), Buffer.alloc(2_000_000, 'y'));
    await post(...blocks, data);
    await send();
    expect((await readFile(at('large'))).equals(large)).toBe(true);
    const posts = await down.count(11);
    expect(new Set(posts.map(({ headers }) => headers['parts']))).toEqual(
      new Set(Array.from({ length: 11 }, (_none, number) => `i,100000,11,50000,${number}`)),
    );
    expect(new Set(posts.map(({ body }) => body.split(' ').slice(1).join(' ')))).toEqual(
      new Set([`file: ${at('large').replaceAll(' ', '%20')}`]),
    );
  });

  it('is not sent while one of them is not as announced', async () => {
    await sender('attempts 1');
    const file = await put('large', large);
    await post(...blocks, data);
    await writeFile(file, Buffer.concat([large.subarray(0, 1_049_999), Buffer.from('?')]));
    const ended = await home.run('sr_sender', ['--once', 'foreground', 'out']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/refused: .* 499 delivery problem: /);
    expect(await treeOf()).toEqual(['large.tmp']);
  });
});
