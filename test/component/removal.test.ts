import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Lab, type Message, type Ran, headersOf, md5, openLab, pubTime } from '../options/lab.js';
import { startOddSshServer } from '../servers/odd-ssh-server.js';

/* `delete on`: a file goes from its origin when it has arrived, and only then. */

let lab: Lab;
beforeEach(() => {
  lab = openLab();
});
afterEach(() => lab.remove());

const lines = ['exchange xs_alice', 'declare source alice', 'source_from_exchange on', 'delete on'];

const collect = async (messages: readonly Message[], ...more: string[]): Promise<Ran> =>
  lab.run('sarra', [...lines, ...more], {
    messages: messages.map((message) => ({ ...message, exchange: 'xs_alice' })),
  });

const isThere = (name: string): boolean => existsSync(join(lab.source, name));
const arrived = (name: string): string => readFileSync(join(lab.target, name), 'utf8');
const again = (message: Message): Message => ({ ...message, redelivered: true });
const mtimeOf = (name: string): string =>
  new Date(statSync(join(lab.source, name)).mtimeMs).toISOString().replaceAll(/[-:TZ]/gu, '');

describe('what has arrived', () => {
  it('is removed, after it was announced', async () => {
    const ran = await collect([lab.announced('a/b'), lab.announced('a/c')]);
    expect([isThere('a/b'), isThere('a/c')]).toEqual([false, false]);
    expect(arrived('b')).toBe('a/b');
    expect(ran.posts).toHaveLength(2);
    expect(ran.acknowledged).toBe(2);
  });

  it('is removed as well when it was here before', async () => {
    writeFileSync(join(lab.target, 'b'), 'a/b');
    const ran = await collect([lab.announced('a/b')]);
    expect(ran.posts).toHaveLength(0);
    expect(isThere('a/b')).toBe(false);
  });

  it('is no failure when it is told again, and gone by now', async () => {
    const message = lab.announced('a/b');
    await collect([message]);
    const ran = await collect([again(message)]);
    expect([ran.waiting, ran.posts.length, ran.acknowledged]).toEqual([0, 1, 1]);
    expect(arrived('b')).toBe('a/b');
  });

  it.each([
    ['without a checksum', { sum: '0,1234' }],
    ['with a checksum of the name', { sum: `n,${md5('b')}` }],
    ['with one that is computed on arrival', { sum: 'z,d' }],
  ])('%s, too', async (_, headers) => {
    const message = lab.announced('a/b', 'content', headers);
    const first = await collect([message], 'overwrite on');
    expect([isThere('a/b'), first.posts.length]).toEqual([false, 1]);
    const ran = await collect([again(message)], 'overwrite on');
    expect([ran.waiting, ran.posts.length]).toEqual([0, 1]);
    expect(arrived('b')).toBe('content');
  });

  it('is a failure when it is gone and has never arrived', async () => {
    const message = lab.announced('a/b', 'content', { sum: '0,1234' });
    rmSync(join(lab.source, 'a/b'));
    expect((await collect([again(message)], 'attempts 1')).waiting).toBe(1);
  });

  it('in a file of its own for each block, is removed block by block', async () => {
    const block = (number: number, text: string): Message => {
      const name = `f.4.2.0.${number}.d.Part`;
      return {
        body: `${pubTime} file: ${lab.file(name, text)}`,
        headers: { parts: `p,4,2,0,${number}`, sum: `d,${md5(text)}` },
      };
    };
    await collect([block(0, 'abcd'), block(1, 'efgh')], 'inplace on');
    expect(arrived('f')).toBe('abcdefgh');
    expect([isThere('f.4.2.0.0.d.Part'), isThere('f.4.2.0.1.d.Part')]).toEqual([false, false]);
  });

  it('in blocks of one file, is removed with the last of them', async () => {
    const path = lab.file('f', 'abcdefgh');
    const mtime = mtimeOf('f');
    const block = (number: number, text: string): Message => ({
      body: `${pubTime} file: ${path}`,
      headers: { parts: `i,4,2,0,${number}`, sum: `d,${md5(text)}`, mtime },
    });
    await collect([block(1, 'efgh')], 'inplace on');
    expect(isThere('f')).toBe(true);
    await collect([block(1, 'efgh'), block(0, 'abcd')], 'inplace on');
    expect(arrived('f')).toBe('abcdefgh');
    expect(isThere('f')).toBe(false);
  });
});

describe('what stays', () => {
  it('is a file whose blocks are kept apart', async () => {
    const path = lab.file('f', 'abcdefgh');
    await collect([
      { body: `${pubTime} file: ${path}`, headers: { parts: 'i,4,2,0,0', sum: `d,${md5('abcd')}` } },
      { body: `${pubTime} file: ${path}`, headers: { parts: 'i,4,2,0,1', sum: `d,${md5('efgh')}` } },
    ]);
    expect(isThere('f')).toBe(true);
  });

  it('is what differs from its announcement', async () => {
    const message = lab.announced('a/b');
    lab.file('a/b', 'x/y');
    const ran = await collect([message]);
    expect(ran.posts).toHaveLength(0);
    expect(isThere('a/b')).toBe(true);
  });

  it('is what a hook has refused', async () => {
    const hook = lab.plugin('no.sh', '#!/bin/sh\nexit 1\n');
    const ran = await collect([lab.announced('a/b')], `on_part ${hook}`);
    expect(ran.posts).toHaveLength(0);
    expect(isThere('a/b')).toBe(true);
  });

  it('is a newer file that has taken the name meanwhile', async () => {
    const message = lab.announced('a/b', 'old');
    // Runs when the file is here and not yet announced.
    const newer = join(lab.source, 'a/b');
    const hook = lab.plugin('newer.sh', `#!/bin/sh\nprintf new >${newer}.tmp && mv ${newer}.tmp ${newer}\n`);
    const ran = await collect([message], `on_file ${hook}`);
    expect(ran.posts).toHaveLength(1);
    expect(arrived('b')).toBe('old');
    expect(readFileSync(newer, 'utf8')).toBe('new');
    expect(ran.log).toMatch(/stays at its origin: it is not the one that was taken/);
  });

  it('is a newer one of the same length and the same second', async () => {
    const message = lab.announced('a/b', 'old');
    utimesSync(join(lab.source, 'a/b'), 1_700_000_000, 1_700_000_000.25);
    const newer = join(lab.source, 'a/b');
    const hook = lab.plugin(
      'newer.sh',
      `#!/bin/sh\nprintf new >${newer} && touch -d @1700000000.75 ${newer}\n`,
    );
    await collect([message], `on_file ${hook}`);
    expect(readFileSync(newer, 'utf8')).toBe('new');
  });

  it('is what was suppressed as a duplicate of another name', async () => {
    const [first, second] = [lab.announced('a/one', 'same'), lab.announced('a/two', 'same')];
    await collect([first, second], 'suppress_duplicates 1h', 'suppress_duplicates_basis data', 'lanes 1');
    expect([isThere('a/one'), isThere('a/two')]).toEqual([false, true]);
  });

  it('is what lies outside of the directory, and the directory itself', async () => {
    mkdirSync(join(lab.directory, 'other'));
    writeFileSync(join(lab.directory, 'other/x'), 'x');
    const message = { body: `${pubTime} file: ${join(lab.directory, 'other/x')}`, headers: headersOf('x') };
    await collect([message], `drop_dir ${lab.source}`);
    expect(existsSync(join(lab.directory, 'other/x'))).toBe(true);
  });

  it('is a file that is fetched onto itself', async () => {
    const message = lab.announced('a', 'same');
    await collect([message], `directory ${lab.source}`, 'overwrite on');
    expect(isThere('a')).toBe(true);
  });
});

describe('on a server of sftp', () => {
  it('is what stands below the path of the base URL, and nothing of that name elsewhere', async () => {
    const server = await startOddSshServer();
    try {
      mkdirSync(join(lab.directory, '.ssh'));
      writeFileSync(join(lab.directory, '.ssh/known_hosts'), server.knownHost);
      for (const path of ['/srv/out/b', '/b']) server.files.set(path, Buffer.from('text'));
      const messages = [{ body: `${pubTime} ${server.url}/srv/out /b`, headers: headersOf('text') }];
      const credential = { user: 'joe', password: 'right' };
      await lab.run('subscribe', ['delete on'], { messages, credential });
      expect(arrived('b')).toBe('text');
      expect([...server.files.keys()]).toEqual(['/b']);
    } finally {
      await server.stop();
    }
  });
});
