import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { walkTree, type WalkOptions } from '../../src/file/tree.js';
import { scratch } from './scratch.js';

let base: string;

beforeEach(() => {
  base = scratch();
});

async function walked(options: WalkOptions = {}, from = base): Promise<string[]> {
  const found: string[] = [];
  for await (const { path, kind } of walkTree(from, options)) found.push(`${relative(base, path)}:${kind}`);
  return found;
}

describe('walking a tree', () => {
  it('finds everything, depth first and sorted, each directory before its content', async () => {
    mkdirSync(join(base, 'b/c'), { recursive: true });
    for (const name of ['b/z', 'b/c/1', 'a', 'é', 'B', 'b/10', 'b/9']) writeFileSync(join(base, name), name);
    symlinkSync('a', join(base, 'l'));
    const expected = [
      ':directory',
      'B:file',
      'a:file',
      'b:directory',
      'b/10:file',
      'b/9:file',
      'b/c:directory',
    ];
    expect(await walked()).toEqual([...expected, 'b/c/1:file', 'b/z:file', 'l:link', 'é:file']);
  });

  it('begins with a single file or link just as well', async () => {
    writeFileSync(join(base, 'a'), 'x');
    symlinkSync('nowhere', join(base, 'l'));
    expect(await walked({}, join(base, 'a'))).toEqual(['a:file']);
    expect(await walked({}, join(base, 'l'))).toEqual(['l:link']);
    expect(await walked({}, join(base, 'missing'))).toEqual([]);
  });

  it('follows links when asked, and ends in spite of loops', async () => {
    mkdirSync(join(base, 'd'));
    writeFileSync(join(base, 'd/file'), 'x');
    symlinkSync('..', join(base, 'd/up'));
    symlinkSync('d', join(base, 'again'));
    symlinkSync('self', join(base, 'self'));
    symlinkSync('d/file', join(base, 'to-file'));
    const found = await walked({ followLinks: true });
    expect(found.filter((one) => one.endsWith('file:file'))).toEqual([
      'again/file:file',
      'd/file:file',
      'to-file:file',
    ]);
    expect(found.filter((one) => one.startsWith('self'))).toEqual(['self:link']);
  });

  it('ends quickly where many directories link to each other', async () => {
    const names = Array.from({ length: 12 }, (_, number) => `d${number}`);
    for (const name of names) mkdirSync(join(base, name));
    for (const name of names) {
      for (const other of names) symlinkSync(`../${other}`, join(base, name, `to-${other}`));
    }
    expect((await walked({ followLinks: true })).length).toBeLessThan(1000);
  });

  it('reports what it cannot look at and goes on', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${base}/bad-`), Buffer.from([0xff, 0xfe])]), 'x');
    symlinkSync('loop', join(base, 'loop'));
    writeFileSync(join(base, 'good'), 'x');
    const told: string[] = [];
    const found = await walked({ followLinks: true, unreadable: (path) => told.push(relative(base, path)) });
    expect(found).toEqual([':directory', 'good:file', 'loop:link']);
    expect(told).toHaveLength(2);
    expect(told).toContain('loop');
  });

  it('ends when stopped', async () => {
    for (let number = 0; number < 50; number += 1) writeFileSync(join(base, `f${number}`), '');
    const controller = new AbortController();
    let seen = 0;
    for await (const entry of walkTree(base, { stop: controller.signal })) {
      expect(entry.path).toContain(base);
      seen += 1;
      if (seen === 5) controller.abort();
    }
    expect(seen).toBe(5);
  });
});
