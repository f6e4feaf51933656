import { describe, expect, it } from 'vitest';
import { judge, valueOf } from '../bench/goals.js';

const cost = (seconds: number, cpuSeconds: number, mebibytes: number) => ({
  seconds,
  cpuSeconds,
  peakBytes: mebibytes * 1024 * 1024,
  brokerSeconds: cpuSeconds / 2,
});

const ours = [cost(4, 8, 100), cost(2, 6, 120), cost(3, 7, 90)];
const reference = [cost(1.5, 2, 10)];

describe('valueOf', () => {
  it.each([
    ['rate', 0.5],
    ['cpu', 3.5],
    ['broker', 3.5],
    ['added', 1500],
    ['memory', 120],
    ['idle', 4.5],
  ] as const)('compares %s by the medians, memory by the most', (kind, value) => {
    expect(valueOf(kind, ours, reference)).toBeCloseTo(value);
  });
});

describe('judge', () => {
  it('wants much of a rate', () => {
    const goal = { kind: 'rate', reach: 0.5, aim: 0.8 } as const;
    expect([0.9, 0.8, 0.6, 0.4].map((value) => judge(goal, value).mark)).toEqual([
      'aimed',
      'aimed',
      'reached',
      'missed',
    ]);
  });

  it('wants little of everything else, and nothing that is not a number', () => {
    const goal = { kind: 'memory', reach: 130, aim: 90 } as const;
    expect([80, 90, 100, 131, NaN].map((value) => judge(goal, value).mark)).toEqual([
      'aimed',
      'aimed',
      'reached',
      'missed',
      'missed',
    ]);
  });
});
