import type * as Fs from 'node:fs';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { flushEntry } from '../../src/file/flush.js';
import { openInflight } from '../../src/file/inflight.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { scratch } from './scratch.js';

/** Paths of the descriptors that were flushed. */
const flushed = vi.hoisted((): string[] => []);

vi.mock('node:fs', async (load) => {
  const real = await load<typeof Fs>();
  const fsync: (descriptor: number, done: (error: Error | null) => void) => void = (descriptor, done) => {
    flushed.push(real.readlinkSync(`/proc/self/fd/${descriptor}`));
    real.fsync(descriptor, done);
  };
  return { ...real, fsync };
});

let base: string;
let root: Root;

beforeEach(() => {
  base = scratch();
  root = openRoot(base);
  flushed.length = 0;
});

const times = (path: string): number => flushed.filter((one) => one === path).length;

async function install(path: string): Promise<void> {
  const inflight = openInflight(root, path, { kind: 'none' });
  await inflight.finish({ flush: true });
  await inflight.install();
}

describe('flushing', () => {
  it('serves all that wait for the same directory at once', async () => {
    mkdirSync(join(base, 'd'));
    await Promise.all(Array.from({ length: 50 }, (_, number) => flushEntry(root, `d/${number}`)));
    expect(times(join(base, 'd'))).toBe(1);
    await flushEntry(root, 'd/more');
    expect(times(join(base, 'd'))).toBe(2);
  });

  it('costs each file its own flush, and less than one of the directory', async () => {
    await Promise.all(Array.from({ length: 40 }, (_, number) => install(`d/f${number}`)));
    expect(flushed.filter((path) => path.includes('.inflight'))).toHaveLength(40);
    expect(times(join(base, 'd'))).toBeGreaterThan(0);
    expect(times(join(base, 'd'))).toBeLessThan(40);
  });

  it('covers the directories above once, and again when one was removed and made anew', async () => {
    await install('a/b/one');
    expect([times(join(base, 'a/b')), times(join(base, 'a')), times(base)]).toEqual([1, 1, 1]);
    await install('a/b/two');
    expect([times(join(base, 'a/b')), times(join(base, 'a')), times(base)]).toEqual([2, 1, 1]);
    const { rmSync } = await import('node:fs');
    rmSync(join(base, 'a'), { recursive: true });
    await install('a/b/three');
    expect([times(join(base, 'a/b')), times(join(base, 'a'))]).toEqual([3, 2]);
    expect(times(base)).toBe(2);
  });

  it('of what is not there any more is nothing', async () => {
    await flushEntry(root, 'no/such/file');
    expect(flushed).toEqual([]);
  });
});
