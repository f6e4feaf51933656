import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RetryableError } from '../../../src/errors.js';
import { diskError } from '../../../src/file/disk-error.js';
import { createHolds } from '../../../src/flow/holds.js';
import type { Placed } from '../../../src/flow/item.js';
import type { Stage } from '../../../src/flow/stage.js';
import { whenFull } from '../../../src/stage/fetch/when-full.js';
import { listening, never, targetIn, takenOf, written } from '../items.js';
import { noPlacement } from '../placing.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const item = (name: string): Placed => {
  const subject = written(name, 'data');
  return {
    ...takenOf(subject),
    subject,
    placement: noPlacement,
    rule: undefined,
    captures: [],
    target: targetIn('/data', name),
    next: subject,
  };
};

const full = (code = 'ENOSPC'): Error => diskError(Object.assign(new Error(code), { code }), 'write it');

/** A disk of 1 MiB, and a stage that fails while `isFull`. */
function setUp(code?: string) {
  const disk = { isFull: true, free: 0, most: 0, running: 0, tries: 0 };
  const holds = createHolds(listening(), Date.now);
  const stage: Stage<Placed, { readonly bytes: number }> = {
    name: 'fetch',
    run: async () => {
      disk.tries += 1;
      disk.running += 1;
      disk.most = Math.max(disk.most, disk.running);
      await Promise.resolve();
      disk.running -= 1;
      if (disk.isFull) throw full(code);
      return { bytes: 4 };
    },
  };
  const space = async (): Promise<{ total: number; free: number }> => ({
    total: 1024 * 1024,
    free: disk.free,
  });
  return { disk, holds, stage: whenFull(holds, stage, { space, every: 5 }) };
}

it('what meets a full disk waits for room, and holds the queue until all have passed, one after the other', async () => {
  const { disk, holds, stage } = setUp();
  const running = ['a', 'b', 'c'].map(async (name) => stage.run(item(name), never()));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(holds.reason()).toBe('the disk of /data is full: make room');
  expect(disk.tries).toBe(3);
  disk.most = 0;
  disk.isFull = false;
  disk.free = 512 * 1024;
  await vi.advanceTimersByTimeAsync(2000);
  expect(await Promise.all(running)).toEqual([{ bytes: 4 }, { bytes: 4 }, { bytes: 4 }]);
  expect([disk.tries, disk.most]).toEqual([6, 1]);
  expect(holds.reason()).toBeUndefined();
});

it('a quota that is used up does not show in what is free: it is tried now and then', async () => {
  const { disk, stage } = setUp('EDQUOT');
  const running = Promise.resolve(stage.run(item('a'), never()));
  await vi.advanceTimersByTimeAsync(59_000);
  expect(disk.tries).toBe(1);
  disk.isFull = false;
  await vi.advanceTimersByTimeAsync(6000);
  expect(await running).toEqual({ bytes: 4 });
});

it('after a quarter of an hour it goes to the retry list, with all that waited behind it', async () => {
  const { stage, holds } = setUp();
  const ends = ['a', 'b'].map((name) => expect(stage.run(item(name), never())).rejects.toThrow('make room'));
  await vi.advanceTimersByTimeAsync(890_000);
  expect(holds.reason()).toBeDefined();
  await vi.advanceTimersByTimeAsync(20_000);
  await Promise.all(ends);
  expect(holds.reason()).toBeUndefined();
});

it('what comes from the retry list, and any other failure, holds up nobody', async () => {
  const { stage, holds, disk } = setUp();
  const retry = { ...item('a'), retry: { tries: 1 } } as Placed;
  await expect(stage.run(retry, never())).rejects.toThrow(RetryableError);
  expect(holds.reason()).toBeUndefined();
  disk.isFull = false;
  const failing = whenFull(holds, { name: 'x', run: () => Promise.reject(new RetryableError('no answer')) });
  await expect(failing.run(item('a'), never())).rejects.toThrow('no answer');
});

it('a stop ends the waiting of all', async () => {
  const { stage, holds } = setUp();
  const stop = new AbortController();
  const ends = ['a', 'b'].map((name) => expect(stage.run(item(name), stop.signal)).rejects.toThrow());
  await vi.advanceTimersByTimeAsync(5000);
  stop.abort(new Error('enough'));
  await Promise.all(ends);
  expect(holds.reason()).toBeUndefined();
});
