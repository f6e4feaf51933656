import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { PermanentError, RetryableError, systemCode } from '../../src/errors.js';
import { makeDirectoryInside, moveInside, removeInside } from '../../src/file/change.js';
import { openInflight } from '../../src/file/inflight.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { hardLinkInside, symlinkInside } from '../../src/file/link.js';
import { openInside, readLinkInside, statInside } from '../../src/file/look.js';
import { elementsOf } from '../../src/file/relative-path.js';
import { setAttributesInside } from '../../src/file/attributes.js';
import { scratch } from './scratch.js';

const install = async (root: Root, path: string, text = 'data'): Promise<void> => {
  const inflight = openInflight(root, path, { kind: 'none' });
  try {
    await inflight.write(Buffer.from(text));
    await inflight.finish({ flush: false });
    await inflight.install();
  } finally {
    await inflight.discard();
  }
};

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

describe('elementsOf', () => {
  it.each([
    '',
    '/',
    '/a',
    '..',
    'a/..',
    'a/../b',
    '../a',
    'a\0b',
    '.',
    './',
    '\ud800',
    'a/'.padEnd(300, 'x'),
  ])('refuses %j', (path) => {
    expect(() => elementsOf(path)).toThrow(PermanentError);
  });

  it('collapses what means nothing', () => {
    expect(elementsOf('a//./b/')).toEqual(['a', 'b']);
    expect(elementsOf('...')).toEqual(['...']);
    expect(elementsOf('é'.repeat(127))).toHaveLength(1);
    expect(() => elementsOf('é'.repeat(128))).toThrow(/255 bytes/u);
  });

  it('answers with harmless elements or refuses, whatever it is given', () => {
    const element = fc.oneof(fc.constantFrom('..', '.', '', 'a', '...', '\0'), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(
        fc.array(element).map((all) => all.join('/')),
        (path) => {
          try {
            for (const one of elementsOf(path)) {
              expect(['', '.', '..']).not.toContain(one);
              expect(one).not.toMatch(/[/\0]/u);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(PermanentError);
            expect(error).toHaveProperty('code', 417);
          }
        },
      ),
    );
  });
});

describe.each(['handle', 'path'] as const)('a root, by %s', (way) => {
  let base: string;
  let outside: string;
  let root: Root;

  beforeEach(() => {
    const top = scratch();
    base = join(top, 'root');
    outside = join(top, 'outside');
    mkdirSync(base);
    mkdirSync(outside);
    root = openRoot(base, { way });
  });

  it('makes missing directories with 0775 less the umask', async () => {
    const before = process.umask(0o022);
    try {
      await install(root, 'a/b/c/file');
    } finally {
      process.umask(before);
    }
    expect(readFileSync(join(base, 'a/b/c/file'), 'utf8')).toBe('data');
    expect(statSync(join(base, 'a/b')).mode & 0o777).toBe(0o755);
  });

  it('follows a link that stays inside, also after it was turned elsewhere', async () => {
    mkdirSync(join(base, 'one'));
    mkdirSync(join(base, 'two'));
    symlinkSync('one', join(base, 'now'));
    await install(root, 'now/file', '1');
    rmSync(join(base, 'now'));
    symlinkSync(join(base, 'two'), join(base, 'now'));
    await install(root, 'now/file', '2');
    expect(readFileSync(join(base, 'one/file'), 'utf8')).toBe('1');
    expect(readFileSync(join(base, 'two/file'), 'utf8')).toBe('2');
  });

  it.each(['absolute', 'relative'])(
    'refuses every operation through a link that leads out (%s)',
    async (kind) => {
      writeFileSync(join(outside, 'file'), 'theirs');
      symlinkSync(kind === 'absolute' ? outside : '../outside', join(base, 'out'));
      writeFileSync(join(base, 'mine'), 'mine');
      const refused = [
        () => statInside(root, 'out/file'),
        () => removeInside(root, 'out/file'),
        () => makeDirectoryInside(root, 'out/new'),
        () => moveInside(root, 'out/file', 'file'),
        () => moveInside(root, 'mine', 'out/mine'),
        () => hardLinkInside(root, 'out/file', 'file'),
        () => hardLinkInside(root, 'mine', 'out/mine'),
        () => symlinkInside(root, 'out/link', 'x'),
        () => readLinkInside(root, 'out/link'),
        () => setAttributesInside(root, 'out/file', { mode: 0o777 }),
        () => openInflight(root, 'out/file', { kind: 'none' }),
        () => openInflight(root, 'file', { kind: 'directory', directory: 'out' }),
      ];
      for (const operation of refused) expect(operation).toThrow(PermanentError);
      await expect(openInside(root, 'out/file')).rejects.toBeInstanceOf(PermanentError);
      expect(readdirSync(outside)).toEqual(['file']);
      expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs');
    },
  );

  it('never opens or changes what a final link leads to, but replaces or removes the link', async () => {
    const theirs = join(outside, 'theirs');
    writeFileSync(theirs, 'theirs');
    symlinkSync(theirs, join(base, 'file'));
    expect(statInside(root, 'file')?.isSymbolicLink()).toBe(true);
    await expect(openInside(root, 'file')).rejects.toBeInstanceOf(RetryableError);
    expect(() => setAttributesInside(root, 'file', { mode: 0o600 })).toThrow(RetryableError);
    await install(root, 'file');
    expect(lstatSync(join(base, 'file')).isFile()).toBe(true);
    symlinkSync(theirs, join(base, 'gone'));
    expect(removeInside(root, 'gone')).toBe(true);
    expect(readFileSync(theirs, 'utf8')).toBe('theirs');
  });

  it('notices that a directory was renamed, removed or replaced since', async () => {
    await install(root, 'd/one');
    renameSync(join(base, 'd'), join(base, 'e'));
    await install(root, 'd/two');
    expect(readdirSync(join(base, 'd'))).toEqual(['two']);
    rmSync(join(base, 'd'), { recursive: true });
    await install(root, 'd/three');
    renameSync(join(base, 'd'), join(outside, 'd'));
    await install(root, 'd/four');
    expect(readdirSync(join(outside, 'd'))).toEqual(['three']);
    expect(readdirSync(join(base, 'd'))).toEqual(['four']);
  });

  it('installs where the path leads at the end, not where it led at the beginning', async () => {
    mkdirSync(join(base, 'd'));
    const inflight = openInflight(root, 'd/file', { kind: 'none' });
    await inflight.write(Buffer.from('x'));
    await inflight.finish({ flush: false });
    renameSync(join(base, 'd'), join(base, 'moved'));
    if (way === 'handle') {
      await inflight.install();
      expect(readdirSync(join(base, 'd'))).toEqual(['file']);
    } else {
      await expect(async () => inflight.install()).rejects.toBeInstanceOf(RetryableError);
    }
    await inflight.discard();
    expect(existsSync(join(base, 'moved/file'))).toBe(false);
  });

  it('says ENOENT for what is not there, and undefined or false where that is an answer', async () => {
    expect(statInside(root, 'no/such/file')).toBeUndefined();
    expect(readLinkInside(root, 'no/such/file')).toBeUndefined();
    expect(removeInside(root, 'no/such/file')).toBe(false);
    expect(moveInside(root, 'no/such/file', 'x')).toBe(false);
    expect(hardLinkInside(root, 'no/such/file', 'x')).toBe(false);
    const error: unknown = await openInside(root, 'no').catch((thrown: unknown) => thrown);
    expect(systemCode(error)).toBe('ENOENT');
  });

  it('works again after the root itself was removed and made anew', async () => {
    const own = openRoot(base, { way, create: true });
    await install(own, 'd/one');
    rmSync(base, { recursive: true });
    await install(own, 'd/two');
    expect(readdirSync(join(base, 'd'))).toEqual(['two']);
  });
});

describe.runIf(process.platform === 'linux')('open directories', () => {
  it('stay few, and all are closed at the end', async () => {
    const base = scratch();
    const before = openDescriptors();
    const root = openRoot(base, { handles: 16 });
    for (let number = 0; number < 100; number += 1) await install(root, `d${number}/e/file`);
    expect(openDescriptors() - before).toBeLessThanOrEqual(20);
    const held = openInflight(root, 'held/file', { kind: 'none' });
    root.close();
    await held.discard();
    expect(openDescriptors()).toBe(before);
  });

  it('a refused path leaves none open', () => {
    const base = scratch();
    symlinkSync('/', join(base, 'out'));
    const root = openRoot(base);
    const before = openDescriptors();
    for (let number = 0; number < 50; number += 1) {
      expect(() => statInside(root, 'out/etc/passwd')).toThrow(PermanentError);
    }
    expect(openDescriptors()).toBe(before);
  });

  it('lead nowhere else while another process swaps a directory for a link', async () => {
    const top = scratch();
    const [base, outside] = [join(top, 'root'), join(top, 'outside')];
    mkdirSync(join(base, 'd/deep'), { recursive: true });
    mkdirSync(join(outside, 'deep'), { recursive: true });
    const swapper = spawn(process.execPath, ['-e', swapping, base, outside], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = new Promise((resolve) => swapper.once('exit', resolve));
    const end = async (): Promise<void> => {
      swapper.kill('SIGKILL');
      await gone;
    };
    onTestFinished(end);
    await new Promise((resolve) => swapper.stdout.once('data', resolve));
    const root = openRoot(base, { handles: 8 });
    const seen = { installed: 0, refused: 0 };
    // Whatever is made outside, if only for a moment, leaves its mark on the directory's time.
    const marks = (): bigint[] =>
      [outside, join(outside, 'deep')].map((path) => statSync(path, { bigint: true }).mtimeNs);
    const before = marks();
    const [enough, latest] = [Date.now() + 2000, Date.now() + 60_000];
    // The race was on only if both outcomes were seen.
    const wasOn = (): boolean => seen.installed > 10 && seen.refused > 10;
    for (let number = 0; Date.now() < enough || (!wasOn() && Date.now() < latest); number += 1) {
      const path = number % 2 === 0 ? 'd/file' : 'd/deep/file';
      try {
        await install(root, path);
        seen.installed += 1;
        removeInside(root, path);
      } catch (error) {
        if (!(error instanceof PermanentError) && !(error instanceof RetryableError)) throw error;
        seen.refused += 1;
      }
    }
    expect(marks()).toEqual(before);
    expect(readdirSync(outside)).toEqual(['deep']);
    expect(wasOn(), JSON.stringify(seen)).toBe(true);
    expect(swapper.exitCode).toBeNull();
    await end();
  });
});

// The installer makes a missing "d" itself: whatever stands in the way of a swap is swept aside first.
const swapping = `
const { renameSync, rmSync, symlinkSync } = require('node:fs');
const [base, outside] = process.argv.slice(1);
const d = base + '/d';
const aside = base + '/aside';
const spin = () => { for (let i = 0; i < Math.random() * 3000; i += 1) Math.sqrt(i); };
const sweep = () => {
  try { rmSync(d, { recursive: true, force: true }); } catch { /* a file came in meanwhile: once more */ }
};
const insist = (swap) => {
  for (;;) {
    try { return swap(); } catch { sweep(); }
  }
};
process.stdout.write('ready');
for (;;) {
  renameSync(d, aside);
  insist(() => symlinkSync(outside, d));
  spin();
  sweep();
  insist(() => renameSync(aside, d));
  spin();
}
`;
