import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeInside } from '../../src/file/change.js';
import { type Root, openRoot } from '../../src/file/inside.js';
import { symlinkInside } from '../../src/file/link.js';
import { statInside } from '../../src/file/look.js';
import { subRoot } from '../../src/file/sub-root.js';
import { scratch } from './scratch.js';

function neighbours(): { readonly directory: string; readonly root: Root; readonly own: Root } {
  const directory = scratch();
  for (const name of ['alice', 'bob']) {
    mkdirSync(join(directory, 'day', name, 'd'), { recursive: true });
    writeFileSync(join(directory, 'day', name, 'd/file'), name);
  }
  const root = openRoot(directory);
  return { directory, root, own: subRoot(root, ['day', 'alice']) };
}

it('is a root of its own: what leads to a neighbour is refused', () => {
  const { directory, own } = neighbours();
  expect(own.path).toBe(join(directory, 'day/alice'));
  expect(own.absolute('d/file')).toBe(join(directory, 'day/alice/d/file'));
  expect(statInside(own, 'd/file')?.size).toBe(5);
  symlinkSync('../bob', join(directory, 'day/alice/x'));
  symlinkSync('d', join(directory, 'day/alice/y'));
  expect(statInside(own, 'y/file')?.size).toBe(5);
  expect(() => statInside(own, 'x/d/file')).toThrow(/outside .*day\/alice: refused/);
  expect(() => removeInside(own, 'x/d/file')).toThrow(/refused/);
  expect(readFileSync(join(directory, 'day/bob/d/file'), 'utf8')).toBe('bob');
});

it('takes no link that leads out of it', () => {
  const { own } = neighbours();
  expect(() => symlinkInside(own, 'l', '../bob')).toThrow(/leaves the tree/);
  expect(() => symlinkInside(own, 'd/l', '../../bob')).toThrow(/leaves the tree/);
  symlinkInside(own, 'd/l', '../other');
});

it('is made when it is missing, and follows links above it', () => {
  const { directory, root } = neighbours();
  const fresh = subRoot(root, ['tomorrow', 'carol']);
  expect(statInside(fresh, 'a')).toBeUndefined();
  symlinkInside(fresh, 'a/l', '../b', { mode: 0o750 });
  expect(statInside(fresh, 'a/l')?.isSymbolicLink()).toBe(true);
  symlinkSync('day', join(directory, 'today'));
  expect(statInside(subRoot(root, ['today', 'alice']), 'd/file')?.size).toBe(5);
});
