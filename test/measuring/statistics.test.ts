import { describe, expect, it } from 'vitest';
import { fit, isRising, median } from '../bench/statistics.js';

describe('median', () => {
  it('is the middle one, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  it('is between the two in the middle of an even number', () => {
    expect(median([10, 1, 4, 2])).toBe(3);
  });

  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN();
  });
});

describe('fit', () => {
  it('finds the line that the points are on', () => {
    const { slope, error } = fit([
      [0, 7],
      [10, 12],
      [20, 17],
    ]);
    expect(slope).toBeCloseTo(0.5);
    expect(error).toBeCloseTo(0);
  });

  it('says how far it may be off', () => {
    const { slope, error } = fit([
      [0, 0],
      [1, 2],
      [2, 0],
      [3, 2],
    ]);
    expect(slope).toBeCloseTo(0.4);
    expect(error).toBeCloseTo(Math.sqrt(3.2 / 2 / 5));
  });

  it('of too few points could be anything', () => {
    expect(fit([[0, 1]])).toEqual({ slope: 0, error: Infinity });
    expect(
      fit([
        [0, 1],
        [1, 5],
      ]),
    ).toEqual({ slope: 4, error: Infinity });
  });
});

describe('isRising', () => {
  it('is so only when chance does not explain it', () => {
    expect(isRising({ slope: 2, error: 0.5 }, 0)).toBe(true);
    expect(isRising({ slope: 2, error: 0.7 }, 0)).toBe(false);
  });

  it('leaves alone what is below the allowance, what falls, and what is not known', () => {
    expect(isRising({ slope: 2, error: 0.1 }, 1.9)).toBe(false);
    expect(isRising({ slope: -2, error: 0.1 }, 0)).toBe(false);
    expect(isRising({ slope: 2, error: Infinity }, 0)).toBe(false);
  });
});
