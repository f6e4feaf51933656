import { describe, expect, it } from 'vitest';
import { createSuspicion, halves } from '../../../src/group/kept/suspicion.js';

const HOUR = 3_600_000;

describe('what a process carries is divided', () => {
  it('at its fifth death within an hour, and then at each', () => {
    let at = 0;
    const { died, isOn } = createSuspicion(() => (at += 1000));
    expect(Array.from({ length: 4 }, died)).toEqual([false, false, false, false]);
    expect(isOn()).toBe(false);
    expect(died()).toBe(true);
    expect(isOn()).toBe(true);
    expect(died()).toBe(true);
  });

  it('at the first death of a part that was divided off', () => {
    const { begin, died } = createSuspicion(() => 0);
    begin();
    expect(died()).toBe(true);
  });

  it('not for deaths that are far apart, and not any more an hour after the last', () => {
    let at = 0;
    const { died, begin, isOn } = createSuspicion(() => at);
    for (let death = 0; death < 20; death += 1) {
      at += HOUR / 4;
      expect(died()).toBe(false);
    }
    begin();
    at += HOUR;
    expect(isOn()).toBe(false);
    expect(died()).toBe(false);
  });

  it('into halves, until one is alone', () => {
    expect(halves([1, 2, 3, 4, 5])).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(halves([1, 2])).toEqual([[1], [2]]);
    expect(halves([1])).toEqual([[1], []]);
  });
});
