import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { RetryableError } from '../../src/errors.js';
import {
  inflightName,
  inflightNaming,
  inflightPath,
  type InflightNaming,
} from '../../src/file/inflight-name.js';
import { openInflight } from '../../src/file/inflight.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { elementsOf } from '../../src/file/relative-path.js';
import { takeOver } from '../../src/file/take-over.js';
import { scratch } from './scratch.js';

const hidden: InflightNaming = { kind: 'none' };
const quick = { flush: false };

let base: string;
let root: Root;

beforeEach(() => {
  base = scratch();
  root = openRoot(base);
});

describe('a process that was suspended and taken for dead', () => {
  it('neither finishes nor removes what the next owner of the path writes', async () => {
    const zombie = openInflight(root, 'f', hidden);
    await zombie.write(Buffer.from('old'));
    const next = openInflight(root, 'f', hidden);
    await next.write(Buffer.from('new'));
    await expect(async () => zombie.finish(quick)).rejects.toThrow(RetryableError);
    await zombie.discard();
    await next.finish(quick);
    await next.install();
    expect(readFileSync(join(base, 'f'), 'utf8')).toBe('new');
    expect(readdirSync(base)).toEqual(['f']);
  });
});

describe('names', () => {
  it.each([
    ['none', 'a/.f.inflight'],
    ['off', 'a/.f.inflight'],
    ['.', 'a/.f'],
    ['.tmp', 'a/f.tmp'],
    ['part/', 'a/part/f'],
    ['x/y/', 'a/x/y/f'],
  ])('inflight %s writes a/f as %s', (option, expected) => {
    const naming = inflightNaming(option);
    expect(naming).toBeDefined();
    expect(inflightPath('a/f', naming ?? hidden)).toBe(expected);
  });

  it.each(['', '..', '../', '/tmp/', 'tmp', '.a/b', '30', 'x/../y/'])(
    '%j is no form of inflight',
    (option) => {
      expect(inflightNaming(option)).toBeUndefined();
    },
  );

  it('fit, differ from the target and from each other, for every name', () => {
    const namings: InflightNaming[] = [hidden, { kind: 'dot' }, { kind: 'extension', extension: '.tmp' }];
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 255 }).filter((text) => {
      try {
        return elementsOf(text).join('/') === text && !text.includes('/');
      } catch {
        return false;
      }
    });
    fc.assert(
      fc.property(name, name, fc.constantFrom(...namings), (one, other, naming) => {
        const own = inflightName(one, naming);
        expect(elementsOf(own)).toEqual([own]);
        expect(own).not.toBe(one);
        expect(own).toBe(inflightName(one, naming));
        if (one !== other) expect(own).not.toBe(inflightName(other, naming));
      }),
    );
  });

  it('of 255 bytes work to the end', async () => {
    const names = ['n'.repeat(255), `${'n'.repeat(254)}m`, 'é'.repeat(127)];
    for (const naming of [hidden, { kind: 'dot' }, { kind: 'extension', extension: '.tmp' }] as const) {
      for (const name of names) {
        const inflight = openInflight(root, name, naming);
        await inflight.write(Buffer.from(name));
        await inflight.finish(quick);
        await inflight.install();
        expect(readFileSync(join(base, name), 'utf8')).toBe(name);
      }
    }
    expect(readdirSync(base).sort()).toEqual([...names].sort());
  });
});

describe('an inflight file', () => {
  it.each([[[]], [[0]], [[10]], [[65536, 1]], [[700_000, 700_000, 5]], [Array<number>(3000).fill(1000)]])(
    'holds exactly what was written, in order',
    async (sizes: number[]) => {
      const chunks = sizes.map((size) => randomBytes(size));
      const inflight = openInflight(root, 'file', hidden);
      for (const chunk of chunks) await inflight.write(chunk);
      const all = Buffer.concat(chunks);
      expect(inflight.size()).toBe(all.byteLength);
      await inflight.finish(quick);
      expect(existsSync(join(base, 'file'))).toBe(false);
      expect(readFileSync(inflight.path).equals(all)).toBe(true);
      await inflight.install();
      expect(readFileSync(join(base, 'file')).equals(all)).toBe(true);
      expect(readdirSync(base)).toEqual(['file']);
    },
  );

  it('replaces the target atomically, with mode and time, without set-user-id', async () => {
    writeFileSync(join(base, 'file'), 'old');
    const inflight = openInflight(root, 'file', hidden);
    await inflight.write(Buffer.from('new'));
    expect(readFileSync(join(base, 'file'), 'utf8')).toBe('old');
    await inflight.finish({
      mode: 0o6751,
      modified: new Date('2020-01-02T03:04:05.678Z'),
      accessed: new Date('2021-01-01T00:00:00Z'),
      flush: true,
    });
    await inflight.install();
    const stat = statSync(join(base, 'file'));
    expect(stat.mode & 0o7777).toBe(0o751);
    expect(stat.mtime.toISOString()).toBe('2020-01-02T03:04:05.678Z');
    expect(stat.atime.toISOString()).toBe('2021-01-01T00:00:00.000Z');
  });

  it('is never readable by others when the file will not be', async () => {
    const inflight = openInflight(root, 'file', hidden, { mode: 0o600 });
    expect(statSync(inflight.path).mode & 0o777).toBe(0o600);
    await inflight.discard();
  });

  it.each(['htaccess', 'HTpasswd', 'htx.inflight'])(
    'neither writes nor removes a file of the web server while %s comes in',
    async (name) => {
      writeFileSync(join(base, `.${name}`), 'orders');
      const inflight = openInflight(root, name, { kind: 'dot' });
      await inflight.write(Buffer.from('x'));
      expect(inflight.relPath).toBe(`.${name}.inflight`);
      expect(readFileSync(join(base, `.${name}`), 'utf8')).toBe('orders');
      await inflight.discard();
      expect(readdirSync(base)).toEqual([`.${name}`]);
    },
  );

  it('leaves nothing when discarded, whenever that is', async () => {
    const steps = [
      async () => undefined,
      async (inflight: ReturnType<typeof openInflight>) => inflight.write(Buffer.from('x')),
      async (inflight: ReturnType<typeof openInflight>) => void inflight.write(randomBytes(3_000_000)),
      async (inflight: ReturnType<typeof openInflight>) => inflight.finish(quick),
      async (inflight: ReturnType<typeof openInflight>) =>
        void inflight.finish({ flush: true })?.catch(() => undefined),
    ];
    for (const step of steps) {
      const inflight = openInflight(root, 'a/file', { kind: 'dot' });
      await step(inflight);
      await inflight.discard();
      await inflight.discard();
      expect(readdirSync(join(base, 'a'))).toEqual([]);
      expect(() => inflight.write(Buffer.from('x'))).toThrow(RetryableError);
      await expect(async () => inflight.install()).rejects.toBeInstanceOf(RetryableError);
    }
  });

  it('of few bytes is done at once: nobody has to wait', () => {
    const inflight = openInflight(root, 'file', hidden);
    expect(inflight.write(Buffer.from('new'))).toBeUndefined();
    expect(inflight.finish({ ...quick, modified: new Date(1000) })).toBeUndefined();
    expect(inflight.install()).toBeUndefined();
    expect(readFileSync(join(base, 'file'), 'utf8')).toBe('new');
    expect(statSync(join(base, 'file')).mtimeMs).toBe(1000);
  });

  it('stays installed when discarded afterwards', async () => {
    const inflight = openInflight(root, 'file', hidden);
    await inflight.finish(quick);
    await inflight.install();
    await inflight.discard();
    expect(readdirSync(base)).toEqual(['file']);
  });

  it('cannot be installed unfinished', async () => {
    const inflight = openInflight(root, 'file', hidden);
    await inflight.write(Buffer.from('half'));
    await expect(async () => inflight.install()).rejects.toBeInstanceOf(RetryableError);
    await inflight.discard();
    expect(readdirSync(base)).toEqual([]);
  });

  it('takes the place of what a killed process left, even a link planted there', async () => {
    const theirs = join(scratch(), 'theirs');
    writeFileSync(theirs, 'theirs');
    const plant = [
      () => writeFileSync(join(base, '.f'), 'left'),
      () => symlinkSync(theirs, join(base, '.f')),
      () => linkSync(theirs, join(base, '.f')),
    ];
    for (const planted of plant) {
      planted();
      const inflight = openInflight(root, 'f', { kind: 'dot' });
      await inflight.write(Buffer.from('ours'));
      await inflight.finish(quick);
      await inflight.install();
      expect(readFileSync(join(base, 'f'), 'utf8')).toBe('ours');
      expect(lstatSync(join(base, 'f')).isFile()).toBe(true);
      expect(readFileSync(theirs, 'utf8')).toBe('theirs');
    }
  });

  it('is kept out of the way of a directory at the target', async () => {
    mkdirSync(join(base, 'file'));
    const inflight = openInflight(root, 'file', hidden);
    await inflight.finish(quick);
    await expect(async () => inflight.install()).rejects.toThrow(/directory stands there/u);
    await inflight.discard();
    expect(readdirSync(base)).toEqual(['file']);
  });

  it('may be transformed by a hook, which replaces it by name, but not turned into a link', async () => {
    const changed = openInflight(root, 'file', hidden);
    await changed.finish(quick);
    writeFileSync(changed.path, 'by the hook');
    await changed.install();
    expect(readFileSync(join(base, 'file'), 'utf8')).toBe('by the hook');
    const turned = openInflight(root, 'file', { kind: 'extension', extension: '.tmp' });
    await turned.finish(quick);
    await turned.discard();
    const planted = openInflight(root, 'file', hidden);
    await planted.finish(quick);
    const { unlinkSync } = await import('node:fs');
    unlinkSync(planted.path);
    symlinkSync('/etc/passwd', planted.path);
    await expect(async () => planted.install()).rejects.toBeInstanceOf(RetryableError);
    await planted.discard();
    expect(lstatSync(join(base, 'file')).isFile()).toBe(true);
    expect(readdirSync(base)).toEqual(['file']);
  });
});

describe('a file of this machine', () => {
  it('is hard linked, and keeps its own mode and time', async () => {
    const source = join(scratch(), 'source');
    writeFileSync(source, 'data', { mode: 0o640 });
    const before = statSync(source);
    const taken = await takeOver(root, source, 'a/file', hidden);
    expect(taken?.how).toBe('linked');
    expect(taken?.inflight.size()).toBe(4);
    expect(existsSync(join(base, 'a/file'))).toBe(false);
    await taken?.inflight.finish({ mode: 0o777, modified: new Date(0), flush: true });
    await taken?.inflight.install();
    const stat = statSync(join(base, 'a/file'));
    expect([stat.ino, stat.mode, stat.mtimeMs]).toEqual([before.ino, before.mode, before.mtimeMs]);
    expect(readdirSync(join(base, 'a'))).toEqual(['file']);
  });

  it('replaces a target that already is the same file, leaving no second name', async () => {
    writeFileSync(join(base, 'source'), 'data');
    linkSync(join(base, 'source'), join(base, 'file'));
    const taken = await takeOver(root, join(base, 'source'), 'file', hidden);
    await taken?.inflight.finish(quick);
    await taken?.inflight.install();
    expect(readdirSync(base).sort()).toEqual(['file', 'source']);
  });

  it('is linked as the file that a link leads to, never as the link', async () => {
    const top = scratch();
    writeFileSync(join(top, 'real'), 'data');
    symlinkSync('real', join(top, 'link'));
    const taken = await takeOver(root, join(top, 'link'), 'file', hidden);
    await taken?.inflight.finish(quick);
    await taken?.inflight.install();
    expect(lstatSync(join(base, 'file')).isFile()).toBe(true);
  });

  it('leaves nothing when discarded, or when it cannot be taken over', async () => {
    const source = join(scratch(), 'source');
    writeFileSync(source, 'data');
    const taken = await takeOver(root, source, 'file', hidden);
    await taken?.inflight.discard();
    expect(readdirSync(base)).toEqual([]);
    const copied = await takeOver(root, source, 'file', hidden, { link: false });
    await copied?.inflight.discard();
    expect(readdirSync(base)).toEqual([]);
    expect(readFileSync(source, 'utf8')).toBe('data');
  });

  it.each(['missing', 'directory'])('that is %s is retryable', async (what) => {
    const top = scratch();
    await expect(
      takeOver(root, what === 'missing' ? join(top, 'no') : top, 'file', hidden),
    ).rejects.toBeInstanceOf(RetryableError);
    expect(readdirSync(base)).toEqual([]);
  });
});
