import { describe, expect, it } from 'vitest';
import { LARGEST, assign, carriersFor } from '../../src/group/assign.js';

/** Gives `count` configurations their places, and counts them. */
function fill(count: number, processors: number): readonly number[] {
  const carried = new Map<number, number>();
  for (let one = 0; one < count; one += 1) {
    const loads = [...carried].map(([number, size]) => ({ number, carried: size, isOpen: true }));
    const number = assign(loads, count, processors);
    carried.set(number, (carried.get(number) ?? 0) + 1);
  }
  return [...carried.values()];
}

describe('configurations are spread', () => {
  it('over as many processes as there are processors, when they are worth it', () => {
    expect(fill(3, 4)).toEqual([3]);
    expect(fill(9, 4)).toEqual([5, 4]);
    expect(fill(32, 4)).toEqual([8, 8, 8, 8]);
  });

  it('never more than fifty in one', () => {
    expect(fill(300, 2)).toEqual([50, 50, 50, 50, 50, 50]);
    expect(Math.max(...fill(333, 2))).toBeLessThanOrEqual(LARGEST);
    expect(carriersFor(301, 1)).toBe(7);
  });

  it('evenly, and to the empty one first', () => {
    expect(
      assign(
        [
          { number: 1, carried: 4, isOpen: true },
          { number: 2, carried: 3, isOpen: true },
        ],
        8,
        1,
      ),
    ).toBe(2);
    expect(assign([{ number: 2, carried: 0, isOpen: true }], 1, 8)).toBe(2);
    // A number that is free again is taken again.
    expect(assign([{ number: 2, carried: 50, isOpen: true }], 51, 1)).toBe(1);
  });

  it('never to one that takes no more, however empty it is', () => {
    expect(assign([{ number: 1, carried: 1, isOpen: false }], 2, 1)).toBe(2);
    expect(
      assign(
        [
          { number: 1, carried: 0, isOpen: false },
          { number: 2, carried: 9, isOpen: true },
        ],
        10,
        1,
      ),
    ).toBe(2);
  });
});
