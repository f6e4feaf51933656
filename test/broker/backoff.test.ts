import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoff, pause } from '../../src/broker/backoff.js';

test('the first try is immediate, then waits double up to the limit', () => {
  const waits = [0, 1, 2, 3, 4, 50].map((tried) =>
    backoff(tried, { base: 500, longest: 3000, random: () => 1 }),
  );
  expect(waits).toEqual([0, 500, 1000, 2000, 3000, 3000]);
});

test('jitter takes away up to a half and never adds', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (tried, chance) => {
        const most = backoff(tried, { base: 100, longest: 30_000, random: () => 1 });
        const wait = backoff(tried, { base: 100, longest: 30_000, random: () => chance });
        expect(wait).toBeLessThanOrEqual(most);
        expect(wait).toBeGreaterThanOrEqual(Math.floor(most / 2));
      },
    ),
  );
});

test('a pause ends at once when it is not wanted any more', async () => {
  const stop = new AbortController();
  const waiting = pause(3_600_000, stop.signal);
  stop.abort();
  await waiting;
  await pause(3_600_000, stop.signal);
});
