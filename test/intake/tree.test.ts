import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Found } from '../../src/flow/posted.js';
import { type TreeOptions, tree } from '../../src/intake/tree.js';
import { scratch } from '../file/scratch.js';
import { never } from '../stage/items.js';

let root = '';
beforeEach(() => {
  root = scratch();
  mkdirSync(join(root, 'd/sub'), { recursive: true });
  for (const name of ['d/b', 'd/a', 'd/sub/c', 'd/.htpasswd', 'd/sub/.htaccess'])
    writeFileSync(join(root, name), name);
});

async function walk(
  more: Partial<TreeOptions> & { paths?: string[] },
  stop = never(),
): Promise<{ found: string[]; unreadable: string[] }> {
  const unreadable: string[] = [];
  const found: string[] = [];
  const relative = (path: string): string => path.replace(`${root}/`, '');
  const options: TreeOptions = {
    removals: false,
    followLinks: false,
    realPaths: false,
    move: undefined,
    unreadable: (path) => void unreadable.push(relative(path)),
    ...more,
    paths: (more.paths ?? []).map((path) => join(root, path)),
  };
  const tell = ({ kind, path, moved }: Found): string =>
    [
      kind,
      relative(path),
      moved?.from === undefined ? '' : `<${relative(moved.from)}`,
      moved?.to === undefined ? '' : `>${relative(moved.to)}`,
    ]
      .filter((word) => word !== '')
      .join(' ')
      .trim();
  for await (const item of tree(options).items(stop)) found.push(tell(item));
  return { found, unreadable };
}

describe('tree', () => {
  it('finds files below what it was given, in order, and never password files', async () => {
    expect(await walk({ paths: ['d', 'd/a'] })).toEqual({
      found: ['file d/a', 'file d/b', 'file d/sub/c', 'file d/a'],
      unreadable: [],
    });
    expect((await walk({ paths: ['d/.htpasswd'] })).found).toEqual([]);
  });

  it('announces links as links, and what they lead to when asked', async () => {
    symlinkSync('a', join(root, 'd/link'));
    symlinkSync('..', join(root, 'd/sub/loop'));
    expect((await walk({ paths: ['d'] })).found).toContain('link d/link');
    const { found } = await walk({ paths: ['d'], followLinks: true });
    expect(found.filter((one) => one.endsWith('d/link'))).toEqual(['link d/link', 'file d/link']);
    expect(found.filter((one) => one.includes('loop'))).toEqual(['link d/sub/loop']);
  });

  it('announces paths free of links when asked', async () => {
    symlinkSync('d', join(root, 'alias'));
    symlinkSync('nowhere', join(root, 'dangling'));
    expect((await walk({ paths: ['alias/a', 'dangling'], realPaths: true })).found).toEqual([
      'file d/a',
      'link dangling',
    ]);
  });

  it('announces a removal only when that is asked for', async () => {
    expect(await walk({ paths: ['gone', 'd/a/below', 'd/a'] })).toEqual({
      found: ['file d/a'],
      unreadable: ['gone', 'd/a/below'],
    });
    expect(await walk({ paths: ['gone', 'd/a'], removals: true })).toEqual({
      found: ['removed gone', 'file d/a'],
      unreadable: [],
    });
  });

  it('goes on after a path that cannot be looked at', async () => {
    const impossible = 'x'.repeat(300);
    expect(await walk({ paths: [impossible, 'd/a'] })).toEqual({
      found: ['file d/a'],
      unreadable: [impossible],
    });
  });

  it('announces a renamed file as a removal and a file', async () => {
    expect((await walk({ move: [join(root, 'old'), join(root, 'd/a')] })).found).toEqual([
      'removed old >d/a',
      'file d/a <old',
    ]);
  });

  it('announces a renamed directory entry by entry, then the directories, deepest first', async () => {
    expect((await walk({ move: [join(root, 'old'), join(root, 'd')] })).found).toEqual([
      'removed old/a >d/a',
      'file d/a <old/a',
      'removed old/b >d/b',
      'file d/b <old/b',
      'removed old/sub/c >d/sub/c',
      'file d/sub/c <old/sub/c',
      'removed old/sub >d/sub',
      'removed old >d',
    ]);
  });

  it('says so when the new name is not there', async () => {
    expect(await walk({ move: [join(root, 'd/a'), join(root, 'gone')] })).toEqual({
      found: [],
      unreadable: ['gone'],
    });
  });

  it('ends when stopped', async () => {
    expect((await walk({ paths: ['d', 'd/a'] }, AbortSignal.abort())).found).toEqual([]);
  });
});
