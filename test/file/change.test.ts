import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { modeFromText, setAttributesInside } from '../../src/file/attributes.js';
import { makeDirectoryInside, moveInside, removeInside } from '../../src/file/change.js';
import { diskError } from '../../src/file/disk-error.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { checkLinkText, hardLinkInside, symlinkInside } from '../../src/file/link.js';
import { openInside, readLinkInside, statInside } from '../../src/file/look.js';
import { scratch } from './scratch.js';

let base: string;
let root: Root;
const at = (path: string): string => join(base, path);

beforeEach(() => {
  base = scratch();
  root = openRoot(base);
});

describe('removing', () => {
  it('takes files, links and empty directories, and says whether something was there', () => {
    writeFileSync(at('file'), '');
    symlinkSync('nowhere', at('link'));
    mkdirSync(at('directory'));
    for (const path of ['file', 'link', 'directory']) {
      expect(removeInside(root, path)).toBe(true);
      expect(removeInside(root, path)).toBe(false);
    }
    expect(readdirSync(base)).toEqual([]);
  });

  it('spares a directory that is not empty', () => {
    mkdirSync(at('d'));
    writeFileSync(at('d/file'), '');
    expect(() => removeInside(root, 'd')).toThrow(RetryableError);
    expect(readdirSync(at('d'))).toEqual(['file']);
  });
});

describe('moving', () => {
  it('replaces the target and makes directories', () => {
    writeFileSync(at('from'), 'new');
    expect(moveInside(root, 'from', 'a/b/to')).toBe(true);
    writeFileSync(at('from'), 'newer');
    expect(moveInside(root, 'from', 'a/b/to')).toBe(true);
    expect(readFileSync(at('a/b/to'), 'utf8')).toBe('newer');
    expect(readdirSync(base)).toEqual(['a']);
  });

  it('moves directories whole', () => {
    mkdirSync(at('d/e'), { recursive: true });
    writeFileSync(at('d/e/file'), 'x');
    expect(moveInside(root, 'd', 'x/y')).toBe(true);
    expect(readFileSync(at('x/y/e/file'), 'utf8')).toBe('x');
    expect(() => moveInside(root, 'x', 'x/y/z')).toThrow(PermanentError);
  });

  it('removes the old name when both are names of one file', () => {
    writeFileSync(at('one'), 'x');
    linkSync(at('one'), at('two'));
    expect(moveInside(root, 'one', 'two')).toBe(true);
    expect(readdirSync(base)).toEqual(['two']);
  });

  it('onto itself keeps the file', () => {
    writeFileSync(at('one'), 'x');
    expect(moveInside(root, 'one', './one')).toBe(true);
    expect(readFileSync(at('one'), 'utf8')).toBe('x');
  });

  it('does not let a relative link come to point out of the tree', () => {
    mkdirSync(at('a/b'), { recursive: true });
    symlinkSync('../../x', at('a/b/link'));
    expect(() => moveInside(root, 'a/b/link', 'a/link')).toThrow(PermanentError);
    expect(readdirSync(at('a/b'))).toEqual(['link']);
  });
});

describe('linking', () => {
  it('puts a symbolic link in place of what stood there', () => {
    writeFileSync(at('link'), 'old');
    symlinkInside(root, 'link', 'd/target');
    symlinkInside(root, 'link', 'd/target');
    expect(readlinkSync(at('link'))).toBe('d/target');
    symlinkInside(root, 'a/b/link', '../../d/target');
    expect(readLinkInside(root, 'a/b/link')).toBe('../../d/target');
    expect(readdirSync(base).sort()).toEqual(['a', 'link']);
  });

  it.each([
    ['link', '/etc/passwd'],
    ['link', '..'],
    ['link', '../x'],
    ['a/link', '../../x'],
    ['a/link', './..//../x'],
    ['a/link', 'b/../../..'],
    ['link', ''],
    ['link', 'a\0b'],
  ])('refuses %s -> %j', (path, to) => {
    expect(() => symlinkInside(root, path, to)).toThrow(PermanentError);
    expect(statInside(root, path)).toBeUndefined();
  });

  it('counts the depth from where the directory really is', () => {
    mkdirSync(at('shallow'));
    mkdirSync(at('a/b/c'), { recursive: true });
    symlinkSync(at('shallow'), at('a/b/c/d'));
    expect(() => symlinkInside(root, 'a/b/c/d/link', '../../../x')).toThrow(PermanentError);
    symlinkInside(root, 'a/b/c/d/link', '../x');
    expect(readlinkSync(at('shallow/link'))).toBe('../x');
  });

  it('allows any target where that is wanted', () => {
    symlinkInside(root, 'link', '/etc/hostname', { anywhere: true });
    expect(readlinkSync(at('link'))).toBe('/etc/hostname');
  });

  it('accepts a text only if it stays below, whatever it is', () => {
    const text = fc.array(fc.constantFrom('..', '.', '', 'a', 'b')).map((all) => all.join('/'));
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 4 }), (to, depth) => {
        const directory = Array.from({ length: depth }, (_, number) => `d${number}`).join('/');
        try {
          checkLinkText(to, directory);
        } catch (error) {
          expect(error).toBeInstanceOf(PermanentError);
          return;
        }
        const landed = join('/top', directory, to);
        expect(to.startsWith('/')).toBe(false);
        expect(landed === '/top' || landed.startsWith('/top/')).toBe(true);
      }),
    );
  });

  it('gives a file a second name, also over itself', () => {
    writeFileSync(at('one'), 'x');
    writeFileSync(at('two'), 'old');
    expect(hardLinkInside(root, 'one', 'two')).toBe(true);
    expect(hardLinkInside(root, 'one', 'two')).toBe(true);
    expect(hardLinkInside(root, 'one', 'a/three')).toBe(true);
    expect(statSync(at('one')).nlink).toBe(3);
    expect(readdirSync(base).sort()).toEqual(['a', 'one', 'two']);
  });

  it('gives no second name to links and directories', () => {
    mkdirSync(at('d'));
    symlinkSync('d', at('link'));
    expect(hardLinkInside(root, 'd', 'x')).toBe(false);
    expect(hardLinkInside(root, 'link', 'x')).toBe(false);
    expect(statInside(root, 'x')).toBeUndefined();
  });
});

describe('looking', () => {
  it('opens regular files only', async () => {
    writeFileSync(at('file'), 'x');
    mkdirSync(at('d'));
    const file = await openInside(root, 'file');
    expect((await file.readFile()).toString()).toBe('x');
    await file.close();
    await expect(openInside(root, 'd')).rejects.toThrow(/not a regular file/u);
    expect(statInside(root, 'file')?.size).toBe(1);
    expect(statInside(root, 'file/below')).toBeUndefined();
  });
});

describe('attributes', () => {
  it.each([
    ['644', 0o644],
    ['0100644', 0o644],
    ['0o755', 0o755],
    ['4755', 0o755],
    ['7777', 0o777],
    ['0', 0],
    ['', undefined],
    ['648', undefined],
    ['-1', undefined],
    ['rw-r--r--', undefined],
    [undefined, undefined],
  ])('mode %j is %j', (text, mode) => {
    expect(modeFromText(text)).toBe(mode);
  });

  it('are set on files and directories, each on its own', () => {
    writeFileSync(at('file'), 'x');
    makeDirectoryInside(root, 'd');
    const before = statSync(at('file'));
    setAttributesInside(root, 'file', { accessed: new Date('2001-01-01T00:00:00Z') });
    expect(statSync(at('file')).atime.toISOString()).toBe('2001-01-01T00:00:00.000Z');
    expect(Math.abs(statSync(at('file')).mtimeMs - before.mtimeMs)).toBeLessThan(1);
    setAttributesInside(root, 'd', { mode: 0o4700, modified: new Date('2002-01-01T00:00:00Z') });
    expect(lstatSync(at('d')).mode & 0o7777).toBe(0o700);
    expect(statSync(at('d')).mtime.toISOString()).toBe('2002-01-01T00:00:00.000Z');
  });

  it('keep every millisecond, and never become later than they were', () => {
    writeFileSync(at('file'), 'x');
    for (let millisecond = 0; millisecond < 1000; millisecond += 1) {
      const modified = new Date(1_577_934_245_000 + millisecond);
      setAttributesInside(root, 'file', { modified });
      expect(Math.trunc(statSync(at('file')).mtimeMs)).toBe(modified.getTime());
    }
  });
});

describe('disk errors', () => {
  const failed = (code: string): Error => Object.assign(new Error(code), { code });

  it('of a full disk say when to come back', () => {
    for (const code of ['ENOSPC', 'EDQUOT']) {
      const error = diskError(failed(code), 'write x');
      expect(error).toBeInstanceOf(RetryableError);
      expect((error as RetryableError).notBefore?.getTime()).toBeGreaterThan(Date.now() + 30_000);
    }
  });

  it('keep their cause, and errors of the house pass unchanged', () => {
    const cause = failed('EACCES');
    expect(diskError(cause, 'write x').cause).toBe(cause);
    const own = new PermanentError(417, 'no');
    expect(diskError(own, 'write x')).toBe(own);
  });
});
