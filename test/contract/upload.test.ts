import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readFile, readdir, readlink, stat, symlink, writeFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import { openTransports } from '../../src/transport/registry.js';
import type { Session, Transports, Upload } from '../../src/transport/transport.js';
import { type Ability, type UploadServer, uploadServers } from './upload-servers.js';

/* What every transport that writes is run against, with a real server. */

const forever = new AbortController().signal;

/** Bytes in pieces, as a file is read. */
async function* pieces(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.byteLength; at += size) yield data.subarray(at, at + size);
}

/** Gives some bytes, then what a reader throws. */
async function* broken(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
  throw new RetryableError('the file went away');
}

type Optional = 'put' | 'makeDirectory' | 'rename' | 'remove' | 'link' | 'look';

describe.each(Object.keys(uploadServers))('%s', (name) => {
  let server: UploadServer;
  let transports: Transports;

  beforeAll(async () => {
    server = (await uploadServers[name]?.()) as UploadServer;
    transports = openTransports({
      limits: { timeout: 20_000, connections: 4, tlsRigour: 'normal' },
      credentialOf: () => server.credential,
      logger: silentLogger,
      ...server.options,
    });
  });

  afterAll(async () => {
    await transports.close();
    await server.stop();
  });

  const path = (relative: string): string => server.prefix + relative;
  const local = (relative: string): string => join(server.root, relative);
  const using = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await transports.session(server.baseUrl, forever);
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  };
  const action = <Name extends Optional>(session: Session, which: Name): NonNullable<Session[Name]> => {
    const found = session[which];
    if (found === undefined) throw new Error(`this session has no ${which}`);
    return found;
  };
  const put = (
    relative: string,
    data: Uint8Array,
    more: Partial<Upload> = {},
    stop = forever,
  ): Promise<void> =>
    using((session) =>
      action(session, 'put')(
        {
          path: path(relative),
          size: data.byteLength,
          data: pieces(data, 65_536),
          ...more,
          ...(more.inflight !== undefined && { inflight: path(more.inflight) }),
        },
        stop,
      ),
    );
  const directory = async (relative: string): Promise<void> => {
    await mkdir(local(relative), { recursive: true });
  };
  /** Names below a directory, sorted; without those that Apache gives to what it has not received yet, and removes itself. */
  const names = async (relative: string): Promise<string[]> =>
    (await readdir(local(relative))).filter((name) => !name.startsWith('.davfs.tmp')).sort();
  /** Leaves the case out where the protocol cannot do it. */
  const able =
    (ability: Ability, work: () => Promise<void>): ((context: { skip: () => void }) => Promise<void>) =>
    async ({ skip }) => {
      if (server.lacks?.includes(ability) === true) skip();
      else await work();
    };

  it.each([0, 1, 1024, 65_536, 262_144, 262_145, 6_000_000])('sends %i bytes as a stream', async (size) => {
    const data = randomBytes(size);
    await directory('streams');
    await put(`streams/${size}`, data, { inflight: `streams/${size}.tmp` });
    expect((await readFile(local(`streams/${size}`))).equals(data)).toBe(true);
    expect(await names('streams')).not.toContain(`${size}.tmp`);
  });

  it.each([0, 1, 1024, 100_000, 600_000])('sends %i bytes that are all here', async (size) => {
    const data = randomBytes(size);
    const untouched = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(0);
      throw new Error('nobody asks for what is here already');
    };
    const half = Math.floor(size / 2);
    await directory('whole');
    await put(`whole/${size}`, data, {
      inflight: `whole/.${size}`,
      data: size === 0 ? pieces(data, 1) : untouched(),
      whole: size === 0 ? [] : [data.subarray(0, half), data.subarray(half)],
    });
    expect((await readFile(local(`whole/${size}`))).equals(data)).toBe(true);
    expect(await names('whole')).not.toContain(`.${size}`);
  });

  it('sends without a name for the time until then', async () => {
    await put('plain', Buffer.from('plain'));
    expect((await readFile(local('plain'))).toString()).toBe('plain');
  });

  it('sends bytes whose number nobody knows', async () => {
    const data = randomBytes(100_000);
    await put('unknown', data, { size: undefined, inflight: 'unknown.tmp' });
    expect((await readFile(local('unknown'))).equals(data)).toBe(true);
  });

  it('replaces what stands there, longer or shorter', async () => {
    await writeFile(local('replaced'), 'old and quite a bit longer');
    await put('replaced', Buffer.from('new'), { inflight: 'replaced.tmp' });
    expect((await readFile(local('replaced'))).toString()).toBe('new');
    await put('replaced', Buffer.from('newest, in place'));
    expect((await readFile(local('replaced'))).toString()).toBe('newest, in place');
    await put('replaced', Buffer.from('short'));
    expect((await readFile(local('replaced'))).toString()).toBe('short');
  });

  it('takes over a private name that a dead process left', async () => {
    await writeFile(local('left.tmp'), 'much more than what comes now');
    await put('left', Buffer.from('whole'), { inflight: 'left.tmp' });
    expect((await readFile(local('left'))).toString()).toBe('whole');
  });

  it(
    'never follows a link of that name',
    able('exclusive', async () => {
      await writeFile(local('precious'), 'precious');
      await symlink(local('precious'), local('trap.tmp'));
      await put('trap', Buffer.from('trapped'), { inflight: 'trap.tmp' }).catch(() => undefined);
      expect((await readFile(local('precious'))).toString()).toBe('precious');
    }),
  );

  it.each([
    'with space',
    'per%cent',
    'per%20cent',
    'has#hash',
    'has?question',
    'plus+amp&semi;',
    "quote'",
    'ünïcödé',
    '-dash',
    '.hidden',
    '[x]{y}',
  ])('sends to %j', async (relative) => {
    await directory('names');
    await put(`names/${relative}`, Buffer.from(relative), { inflight: `names/${relative}.tmp` });
    expect((await readFile(local(`names/${relative}`))).toString()).toBe(relative);
    expect(await names('names')).not.toContain(`${relative}.tmp`);
  });

  it('refuses a path that climbs', async () => {
    await expect(put('../climbed', Buffer.from('x'))).rejects.toBeInstanceOf(PermanentError);
    await expect(put('a/../../climbed', Buffer.from('x'))).rejects.toBeInstanceOf(PermanentError);
  });

  it.each([
    ['fewer', 20],
    ['more', 5],
  ])('fails and leaves nothing when %s bytes come than were said', async (_, size) => {
    await directory('wrong');
    const data = Buffer.from('ten bytes.');
    await expect(put('wrong/size', data, { size, inflight: 'wrong/size.tmp' })).rejects.toBeInstanceOf(
      RetryableError,
    );
    expect(await names('wrong')).toEqual([]);
    await expect(put('wrong/size', data, { size })).rejects.toBeInstanceOf(RetryableError);
    expect(await names('wrong')).toEqual([]);
  });

  it('leaves what stood there, and nothing else, when the bytes fail to come', async () => {
    await directory('failing');
    await writeFile(local('failing/file'), 'old');
    const more = { size: 1_000_000, inflight: 'failing/file.tmp', data: broken(randomBytes(300_000)) };
    await expect(put('failing/file', Buffer.alloc(0), more)).rejects.toThrow('the file went away');
    expect(await names('failing')).toEqual(['file']);
    expect((await readFile(local('failing/file'))).toString()).toBe('old');
  });

  it('leaves nothing when it is stopped in the middle, and goes on with the next', async () => {
    await directory('stopped');
    const controller = new AbortController();
    const data = async function* (): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < 40; sent += 1) {
        yield randomBytes(262_144);
        if (sent === 5) controller.abort();
      }
    };
    const more = { size: 40 * 262_144, inflight: 'stopped/file.tmp', data: data() };
    const sending = put('stopped/file', Buffer.alloc(0), more, controller.signal);
    await expect(sending).rejects.toBeInstanceOf(RetryableError);
    expect(await names('stopped')).toEqual([]);
    await put('stopped/next', Buffer.from('next'), { inflight: 'stopped/next.tmp' });
    expect(await names('stopped')).toEqual(['next']);
  });

  it('returns the bytes early when there are more than were said', async () => {
    let returned = false;
    const data = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false as const, value: randomBytes(65_536) }),
        return: async () => {
          returned = true;
          return { done: true as const, value: undefined };
        },
      }),
    };
    await expect(put('early', Buffer.alloc(0), { size: 100_000, data })).rejects.toBeInstanceOf(
      RetryableError,
    );
    expect(returned).toBe(true);
    expect(await names('.')).not.toContain('early');
  });

  it(
    'says that the directory is missing',
    able('makeDirectory', async () => {
      await expect(put('no/such/directory', Buffer.from('x'))).rejects.toBeInstanceOf(RetryableError);
    }),
  );

  it(
    'sets permissions and time',
    able('mode', async () => {
      const modified = new Date('2020-02-03T04:05:06.000Z');
      await put('attributes', Buffer.from('x'), { mode: 0o640, modified, inflight: 'attributes.tmp' });
      const found = await stat(local('attributes'));
      expect(found.mode & 0o7777).toBe(0o640);
      if (server.lacks?.includes('modified') !== true) expect(found.mtime).toEqual(modified);
    }),
  );

  it(
    'sets the time alone',
    able('modified', async () => {
      const modified = new Date('2021-12-31T23:59:58.000Z');
      await put('dated', Buffer.from('x'), { modified });
      expect((await stat(local('dated'))).mtime).toEqual(modified);
    }),
  );

  it(
    'lets nobody read a file before it is whole',
    able('hidden', async () => {
      let seen: number | undefined;
      const data = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.from('secret');
        await expect
          .poll(async () =>
            stat(local('umask')).then(
              () => true,
              () => false,
            ),
          )
          .toBe(true);
        seen = (await stat(local('umask'))).mode & 0o577;
        yield Buffer.from(' text');
      };
      await put('umask', Buffer.alloc(0), { size: 11, data: data(), isHidden: true, mode: 0o644 });
      expect((seen ?? 0o777) & 0o444).toBe(0);
      expect((await stat(local('umask'))).mode & 0o777).toBe(0o644);
      expect((await readFile(local('umask'))).toString()).toBe('secret text');
    }),
  );

  it(
    'hides an older version while it is written over, and gives it permissions in the end',
    able('hidden', async () => {
      await writeFile(local('umask-old'), 'old', { mode: 0o644 });
      await put('umask-old', Buffer.from('new'), { isHidden: true });
      const mode = (await stat(local('umask-old'))).mode & 0o777;
      expect(mode & 0o400).toBe(0o400);
      expect((await readFile(local('umask-old'))).toString()).toBe('new');
    }),
  );

  it(
    'writes blocks at their places, in any order and several at once',
    able('offset', async () => {
      const data = randomBytes(3_000_001);
      const size = 400_000;
      const offsets = Array.from({ length: Math.ceil(data.byteLength / size) }, (_, number) => number * size);
      await Promise.all(
        offsets
          .reverse()
          .map((offset) =>
            put('blocks', data.subarray(offset, offset + size), { offset, inflight: 'blocks.tmp' }),
          ),
      );
      expect((await readFile(local('blocks'))).equals(data)).toBe(true);
      expect(await names('.')).not.toContain('blocks.tmp');
    }),
  );

  it(
    'does not cut a longer file when a block is written',
    able('offset', async () => {
      await writeFile(local('block-within'), '0123456789');
      await put('block-within', Buffer.from('AB'), { offset: 4, whole: [Buffer.from('AB')] });
      expect((await readFile(local('block-within'))).toString()).toBe('0123AB6789');
    }),
  );

  it(
    'keeps what is there of a file when a block of it fails',
    able('offset', async () => {
      await writeFile(local('block-failed'), '0123456789');
      const more = { offset: 2, size: 1000, data: broken(Buffer.from('AB')) };
      await expect(put('block-failed', Buffer.alloc(0), more)).rejects.toBeInstanceOf(RetryableError);
      expect((await readFile(local('block-failed'))).byteLength).toBe(10);
    }),
  );

  it('does many at once', async () => {
    await directory('many');
    const all = Array.from({ length: 60 }, (_, number) => ({ number, data: randomBytes(number * 1000) }));
    await Promise.all(
      all.map(({ number, data }) => put(`many/${number}`, data, { inflight: `many/.${number}` })),
    );
    const got = await Promise.all(all.map(({ number }) => readFile(local(`many/${number}`))));
    expect(got.every((data, number) => data.equals(all[number]?.data ?? Buffer.alloc(0)))).toBe(true);
    expect(await names('many')).toHaveLength(60);
  });

  it(
    'makes directories with those above them, and none twice',
    able('makeDirectory', async () => {
      await using(async (session) => {
        const makeDirectory = action(session, 'makeDirectory');
        await Promise.all(
          [1, 2, 3, 4].map((number) => makeDirectory(path(`made/by/us/${number}`), undefined, forever)),
        );
        await makeDirectory(path('made/by'), undefined, forever);
      });
      expect(await names('made/by/us')).toEqual(['1', '2', '3', '4']);
      await put('made/by/us/4/file', Buffer.from('x'));
    }),
  );

  it(
    'gives directories their permissions, only those that it makes',
    able('makeDirectory', async () => {
      if (server.lacks?.includes('mode') === true) return;
      await mkdir(local('there'), { mode: 0o700 });
      await using((session) => action(session, 'makeDirectory')(path('there/new/newer'), 0o775, forever));
      expect((await stat(local('there'))).mode & 0o777).toBe(0o700);
      expect((await stat(local('there/new'))).mode & 0o777).toBe(0o775);
      expect((await stat(local('there/new/newer'))).mode & 0o777).toBe(0o775);
    }),
  );

  it(
    'cannot make a directory where a file is',
    able('makeDirectory', async () => {
      await writeFile(local('in-the-way'), 'x');
      const making = (relative: string): Promise<void> =>
        using((session) => action(session, 'makeDirectory')(path(relative), undefined, forever));
      await expect(making('in-the-way')).rejects.toBeInstanceOf(RetryableError);
      await expect(making('in-the-way/below')).rejects.toBeInstanceOf(RetryableError);
    }),
  );

  it(
    'renames, over what stands there',
    able('rename', async () => {
      await writeFile(local('from'), 'from');
      await writeFile(local('onto'), 'onto');
      await using((session) => action(session, 'rename')(path('from'), path('onto'), forever));
      expect((await readFile(local('onto'))).toString()).toBe('from');
      expect(await names('.')).not.toContain('from');
      const again = using((session) => action(session, 'rename')(path('from'), path('onto'), forever));
      await expect(again).rejects.toBeInstanceOf(RetryableError);
      expect((await readFile(local('onto'))).toString()).toBe('from');
    }),
  );

  it(
    'removes files, links and empty directories; what is not there is gone',
    able('remove', async () => {
      const remove = (relative: string): Promise<void> =>
        using((session) => action(session, 'remove')(path(relative), forever));
      await directory('removing/empty');
      await directory('removing/full');
      await writeFile(local('removing/full/file'), 'x');
      await writeFile(local('removing/file'), 'x');
      await symlink('full', local('removing/link'));
      await remove('removing/file');
      await remove('removing/empty');
      // Where links are nothing that the server knows, they are what they lead to.
      if (server.lacks?.includes('link') === true) await rm(local('removing/link'));
      else await remove('removing/link');
      await remove('removing/never');
      await remove('removing/never/was');
      expect(await names('removing')).toEqual(['full']);
      await expect(remove('removing/full')).rejects.toBeInstanceOf(RetryableError);
      expect(await names('removing/full')).toEqual(['file']);
    }),
  );

  it(
    'makes links, in place of what stands there',
    able('link', async () => {
      const link = (relative: string, to: string): Promise<void> =>
        using((session) => action(session, 'link')(path(relative), to, forever));
      await directory('links');
      await link('links/new', 'target/of it');
      expect(await readlink(local('links/new'))).toBe('target/of it');
      await link('links/new', '/elsewhere');
      expect(await readlink(local('links/new'))).toBe('/elsewhere');
      await writeFile(local('links/file'), 'x');
      await link('links/file', 'new');
      expect(await readlink(local('links/file'))).toBe('new');
      expect(await names('links')).toEqual(['file', 'new']);
    }),
  );

  it(
    'looks at what is there',
    able('look', async () => {
      const look = (relative: string) => using((session) => action(session, 'look')(path(relative), forever));
      await directory('looking/directory');
      await writeFile(local('looking/file'), 'twelve bytes');
      await symlink('file', local('looking/link'));
      expect(await look('looking/nothing')).toBeUndefined();
      expect(await look('looking/nor/this')).toBeUndefined();
      expect((await look('looking/directory'))?.kind).toBe('directory');
      const file = await look('looking/file');
      expect(file?.kind).toBe('file');
      expect(file?.size).toBe(12);
      const { mtimeMs } = await lstat(local('looking/file'));
      if (file?.modified !== undefined)
        expect(Math.abs(file.modified.getTime() - mtimeMs)).toBeLessThan(60_000);
      if (server.lacks?.includes('link') !== true) expect((await look('looking/link'))?.kind).toBe('link');
    }),
  );

  it('cuts a file to a length, and sets mode and time without a byte', async ({ skip }) => {
    await writeFile(local('cut'), 'longer than wanted');
    await using(async (session) => {
      if (session.truncate === undefined) skip();
      else await session.truncate(path('cut'), 6, forever);
    });
    const modified = new Date('2020-02-02T02:02:02Z');
    await put('cut', Buffer.alloc(0), { offset: 6, mode: 0o640, modified, whole: [] });
    const there = await stat(local('cut'));
    expect((await readFile(local('cut'))).toString()).toBe('longer');
    expect([there.mode & 0o777, there.mtimeMs]).toEqual([0o640, modified.getTime()]);
  });

  it('refuses at once when it is stopped already', async () => {
    const stopped = AbortSignal.abort();
    const session = await transports.session(server.baseUrl, forever);
    const sending = action(session, 'put')(
      { path: path('never'), size: 1, data: pieces(Buffer.from('x'), 1) },
      stopped,
    );
    await expect(sending).rejects.toBeInstanceOf(RetryableError);
    await session.close();
    expect(await names('.')).not.toContain('never');
  });

  it('keeps its tree apart from others', async () => {
    // What arrives is below the prefix and nowhere else.
    await directory(dirname('apart/file'));
    await put('apart/file', Buffer.from('x'));
    expect(await names('apart')).toEqual(['file']);
  });
});
