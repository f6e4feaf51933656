import { describe, expect, it } from 'vitest';
import { createBackoff } from '../../../src/process/daemon/backoff.js';

const MINUTE = 60_000;
const times = (count: number, next: (lived: number) => number): number[] =>
  Array.from({ length: count }, () => next(0) / 1000);

describe('the pause before what failed is tried again', () => {
  it('doubles from a second to a minute', () => {
    expect(times(9, createBackoff().next)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('is left out the first time where asked for', () => {
    expect(times(9, createBackoff({ atOnce: true }).next)).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60]);
  });

  it('begins anew after a life of more than five minutes, and never with fewer', () => {
    const { next, failures } = createBackoff();
    times(4, next);
    expect(next(5 * MINUTE)).toBe(16_000);
    expect(next(5 * MINUTE + 1)).toBe(1000);
    expect(next(0)).toBe(2000);
    expect(failures()).toBe(7);
  });

  it('begins anew when asked to, and the failures stay counted', () => {
    const { next, failures, forget } = createBackoff();
    times(3, next);
    forget();
    expect(next(0)).toBe(1000);
    expect(failures()).toBe(4);
  });

  it('stays a minute after any number of failures', () => {
    const { next } = createBackoff();
    times(5000, next);
    expect(next(0)).toBe(MINUTE);
  });
});
