import { describe, expect, it } from 'vitest';
import { judgeSoak } from '../bench/growth.js';
import type { Sample } from '../bench/growth.js';

const MIB = 1024 * 1024;

/** Forty samples of ten seconds each; `change` says how the figures of one differ from the usual. */
const soak = (change: (minute: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 40 }, (_, number) => {
    const usual = {
      rss: (80 + (number % 2)) * MIB,
      descriptors: 20 + (number % 2),
      latency: 30 + (number % 3),
    };
    return { seconds: number * 10, ...usual, slowest: 90, ...change(number / 6) };
  });

const complaints = (change: (minute: number) => Partial<Sample>): string[] =>
  judgeSoak(soak(change), () => undefined);

describe('judgeSoak', () => {
  it('is content with figures that go up and down', () => {
    expect(complaints(() => ({}))).toEqual([]);
  });

  it('finds what grows, each figure by itself', () => {
    expect(complaints((minute) => ({ rss: (80 + minute) * MIB }))).toEqual(['RSS grows']);
    expect(complaints((minute) => ({ descriptors: 20 + Math.floor(minute) }))).toEqual([
      'open descriptors grows',
    ]);
    expect(complaints((minute) => ({ latency: 30 + 10 * minute }))).toEqual(['latency grows']);
  });

  it('lets a process warm up', () => {
    expect(complaints((minute) => ({ rss: Math.min(80, 40 + 40 * minute) * MIB }))).toEqual([]);
  });

  it('says that a run was too short', () => {
    const said: string[] = [];
    const short = soak((minute) => ({ rss: minute * MIB })).slice(0, 12);
    expect(judgeSoak(short, (line) => said.push(line))).toEqual([]);
    expect(said).toEqual([expect.stringContaining('not judged')]);
  });
});
