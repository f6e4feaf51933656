import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Placed } from '../../src/flow/item.js';
import { createHolds } from '../../src/flow/holds.js';
import { pass } from '../../src/flow/stage.js';
import { gate } from '../../src/stage/choose/gate.js';
import { room } from '../../src/stage/choose/room.js';
import { changed, listening, never, targetIn, takenOf, written } from '../stage/items.js';
import { noPlacement } from '../stage/placing.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const setUp = () => {
  const logger = listening();
  return { logger, holds: createHolds(logger, Date.now) };
};

describe('what holds the queue', () => {
  it('is said once a minute, however much is held, and when it ends', async () => {
    const { logger, holds } = setUp();
    const ends = [1, 2, 3].map(() => holds.begin('no room'));
    expect(holds.reason()).toBe('no room');
    await vi.advanceTimersByTimeAsync(119_000);
    expect(logger.lines).toEqual(['warning: the queue waits: no room', 'warning: the queue waits: no room']);
    for (const end of ends) end();
    expect(logger.lines.slice(2)).toEqual(['info: the queue goes on']);
    expect(holds.reason()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(logger.lines).toHaveLength(3);
  });

  it('may only slow it down, which counts for a moment', () => {
    const { logger, holds } = setUp();
    for (let count = 0; count < 100; count += 1) holds.note('slow');
    expect(holds.reason()).toBe('slow');
    expect(holds.over(never())).toBeUndefined();
    vi.advanceTimersByTime(6000);
    expect(holds.reason()).toBeUndefined();
    expect(logger.lines).toHaveLength(1);
  });

  it('lets nothing through the gate until nobody holds', async () => {
    const { holds } = setUp();
    expect(gate(holds).run({}, never())).toBe(pass);
    const ends = [holds.begin('one'), holds.begin('two')];
    let passed = 0;
    const waiting = Promise.resolve(gate(holds).run({}, never())).then(() => (passed += 1));
    ends[0]?.();
    await vi.advanceTimersByTimeAsync(1000);
    expect(passed).toBe(0);
    ends[1]?.();
    await waiting;
    const stop = new AbortController();
    const end = holds.begin('three');
    const stopped = Promise.resolve(gate(holds).run({}, stop.signal));
    stop.abort(new Error('enough'));
    await expect(stopped).rejects.toThrow('enough');
    end();
  });
});

describe('a disk with too little room', () => {
  const item = (subject = written('f', 'data')): Placed => ({
    ...takenOf(subject),
    subject,
    placement: noPlacement,
    rule: undefined,
    captures: [],
    target: targetIn('/data', 'f'),
    next: subject,
  });

  it('holds the queue until there is room', async () => {
    const { holds } = setUp();
    let bytes = 99;
    const stage = room(holds, { least: 100, free: async () => bytes });
    const running = Promise.resolve(stage.run(item(), never()));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(holds.reason()).toBe('99 bytes are free on the disk of /data, free_space_min is 100: make room');
    // A removal makes room.
    expect(await stage.run(item(changed('f', { kind: 'remove' })), never())).toBe(pass);
    bytes = 100;
    await vi.advanceTimersByTimeAsync(5000);
    expect(await running).toBe(pass);
    expect(holds.reason()).toBeUndefined();
  });

  it('is not looked for where nobody asks', () => {
    const free = vi.fn<() => Promise<number>>();
    expect(room(setUp().holds, { least: 0, free }).run(item(), never())).toBe(pass);
    expect(free).not.toHaveBeenCalled();
  });
});
