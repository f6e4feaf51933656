import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openInflight } from '../../../src/file/inflight.js';
import { openRoot } from '../../../src/file/inside.js';
import type { Fetched } from '../../../src/flow/item.js';
import { discard } from '../../../src/stage/install/discard.js';
import { install } from '../../../src/stage/install/install.js';
import type { Announcement, Change } from '../../../src/message/announcement.js';
import { scratch } from '../../file/scratch.js';
import {
  allIn,
  changed,
  endOf,
  gained,
  noBlocks,
  placedIn,
  retried,
  roots,
  targetIn,
  through,
  written,
} from '../items.js';

let root = '';
beforeEach(() => {
  root = scratch();
});

const stage = (allowLinks = false): ReturnType<typeof install> =>
  install(roots(), { allowLinks, directoryMode: undefined, flush: false }, noBlocks);

const put = (path: string, data: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), data);
};

const item = (path: string, subject: Announcement, more: Partial<Fetched> = {}): Fetched => ({
  ...placedIn(root, path, subject),
  present: false,
  bytes: 0,
  sum: undefined,
  result: { code: 201, text: 'Downloaded' },
  ...more,
});

const of = (path: string, change: Change, more: Partial<Fetched> = {}): Fetched =>
  item(path, changed(path, change), more);

async function inflightOf(path: string, data: string): Promise<NonNullable<Fetched['inflight']>> {
  const inflight = openInflight(openRoot(root), path, { kind: 'none' });
  await inflight.write(Buffer.from(data));
  await inflight.finish({ flush: false });
  return inflight;
}

describe('install', () => {
  it('renames what came over what was there', async () => {
    put('d/f', 'old');
    const gain = await gained(
      stage(),
      item('d/f', written('d/f', 'new'), { inflight: await inflightOf('d/f', 'new') }),
    );
    expect(gain).toEqual({
      path: join(root, 'd/f'),
      complete: true,
      result: { code: 201, text: 'Downloaded' },
    });
    expect(readFileSync(join(root, 'd/f'), 'utf8')).toBe('new');
    expect(allIn(root)).toEqual(['d', 'd/f']);
  });

  it('leaves a file alone that is there already', async () => {
    put('f', 'here');
    await gained(stage(), item('f', written('f', 'here'), { present: true, repeated: true }));
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('here');
  });

  it('gives what lies here under its old name the new one', async () => {
    put('old', 'content');
    await gained(stage(), item('d/new', written('d/new', 'content'), { counterpart: targetIn(root, 'old') }));
    expect(readFileSync(join(root, 'd/new'), 'utf8')).toBe('content');
    expect(existsSync(join(root, 'old'))).toBe(true);
  });

  it('claims nothing when the old name has gone meanwhile', async () => {
    const renamed = item('new', written('new', 'content'), { counterpart: targetIn(root, 'old') });
    expect(await endOf(stage(), renamed)).toMatch(/^failed: .*gone/);
  });
});

describe('install of a removal', () => {
  const remove = (path: string, more: Partial<Fetched> = {}): Fetched => of(path, { kind: 'remove' }, more);

  it('removes a file, a link and an empty directory, and has nothing against there being none', async () => {
    put('file', 'x');
    mkdirSync(join(root, 'empty'));
    symlinkSync('/etc', join(root, 'link'));
    for (const name of ['file', 'empty', 'link', 'never/was/there']) {
      expect((await gained(stage(), remove(name))).result).toEqual({ code: 201, text: 'removed' });
    }
    expect(allIn(root)).toEqual([]);
    expect(existsSync('/etc')).toBe(true);
  });

  it('gives others the time to empty a directory, and then refuses', async () => {
    put('full/file', 'x');
    expect(await endOf(stage(), remove('full'))).toMatch(/^failed/);
    expect(await endOf(stage(), remove('full', { retry: retried({ tries: 3 }) }))).toMatch(
      /^refused 500: remove failed/,
    );
    expect(existsSync(join(root, 'full/file'))).toBe(true);
  });

  const moving = (from: string, to: string, more: Partial<Fetched> = {}): Fetched =>
    item(from, changed(from, { kind: 'remove' }, { moved: { to } }), {
      counterpart: targetIn(root, to),
      ...more,
    });

  it('keeps what is here under the new name', async () => {
    put('old/file', 'content');
    expect((await gained(stage(), moving('old', 'd/new'))).result.text).toBe('moved');
    expect(allIn(root)).toEqual(['d', 'd/new', 'd/new/file']);
  });

  it('only removes when the new name is there already', async () => {
    put('old', 'content');
    put('new', 'newer');
    expect((await gained(stage(), moving('old', 'new'))).result.text).toBe('removed');
    expect(readFileSync(join(root, 'new'), 'utf8')).toBe('newer');
    expect(existsSync(join(root, 'old'))).toBe(false);
  });

  it('does not move a directory into itself', async () => {
    mkdirSync(join(root, 'a'));
    expect((await gained(stage(), moving('a', 'a/b/c'))).result.text).toBe('removed');
    expect(allIn(root)).toEqual([]);
  });

  it('moves nothing to another tree', async () => {
    put('old', 'content');
    const elsewhere = scratch();
    await gained(stage(), moving('old', 'new', { counterpart: targetIn(elsewhere, 'new') }));
    expect(allIn(elsewhere)).toEqual([]);
    expect(allIn(root)).toEqual([]);
  });
});

describe('install of links and directories', () => {
  it('makes a link that stays in the tree, over what was there', async () => {
    put('d/link', 'x');
    expect((await gained(stage(), of('d/link', { kind: 'link', to: '../other' }))).result).toEqual({
      code: 201,
      text: 'linked',
    });
    expect(readlinkSync(join(root, 'd/link'))).toBe('../other');
  });

  it.each(['/etc/passwd', '../../outside', '..', 'a/../../..'])(
    'refuses a link to %s unless links may lead anywhere',
    async (to) => {
      const link = of('link', { kind: 'link', to });
      expect(await endOf(stage(), link)).toMatch(/^refused 417/);
      expect(allIn(root)).toEqual([]);
      await gained(stage(true), link);
      expect(readlinkSync(join(root, 'link'))).toBe(to);
    },
  );

  it('makes directories', async () => {
    await gained(stage(), of('a/b', { kind: 'make-directory' }));
    expect(statSync(join(root, 'a/b')).isDirectory()).toBe(true);
    await gained(stage(), of('a/b', { kind: 'make-directory' }));
  });

  it('writes through no link that leaves the tree', async () => {
    const outside = scratch();
    symlinkSync(outside, join(root, 'out'));
    const { outcome } = await through(stage(), of('out/d', { kind: 'make-directory' }));
    expect(outcome?.kind).toBe('refused');
    expect(allIn(outside)).toEqual([]);
  });
});

it('discard removes what was installed', async () => {
  put('d/f', 'x');
  const installed = { ...item('d/f', written('d/f', 'x')), path: join(root, 'd/f'), complete: true };
  await gained(discard(roots()), installed);
  expect(() => lstatSync(join(root, 'd/f'))).toThrow();
});
