import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Admission, type HostState, hostState } from '../../src/transport/host-state.js';

let time = 0;
let random = 0;
let host: HostState;

beforeEach(() => {
  time = 1_000_000;
  random = 0;
  host = hostState({
    failures: 3,
    firstPause: 5000,
    longestPause: 300_000,
    now: () => time,
    random: () => random,
  });
});

const fail = (times: number): void => {
  for (let number = 0; number < times; number += 1) host.failed(false, 'refused');
};
const wait = (admission: Admission): number => ('held' in admission ? admission.held - time : 0);

describe('a server', () => {
  it('is left alone after failures in a row, and only then', () => {
    fail(2);
    host.answered();
    fail(2);
    expect(host.admit()).toEqual({ probe: false });
    expect(host.failed(false, 'refused')).toBe(true);
    expect(wait(host.admit())).toBe(5000);
    expect(host.held()).toEqual({ since: time, nextProbe: time + 5000, reason: 'refused' });
  });

  it('is not left alone for longer because the clock is set back', () => {
    fail(3);
    time -= 3_600_000;
    expect(host.admit()).toEqual({ probe: true });
  });

  it('is left alone at once when it is known to be silent', () => {
    expect(host.failed(false, 'silent', undefined, true)).toBe(true);
    expect(wait(host.admit())).toBe(5000);
  });

  it('that is the only one has all wait for the same moment, in the order in which they stand', () => {
    const rules = { failures: 1, firstPause: 5000, longestPause: 300_000, isAlone: true };
    const alone = hostState({ ...rules, now: () => time, random: Math.random });
    alone.failed(false, 'refused');
    const moments = Array.from({ length: 50 }, () => wait(alone.admit()));
    expect(new Set(moments)).toEqual(new Set([5000]));
  });

  it('gets one probe at a time', () => {
    fail(3);
    time += 5000;
    expect(host.admit()).toEqual({ probe: true });
    expect(wait(host.admit())).toBeGreaterThanOrEqual(5000);
    host.left(true);
    expect(host.admit()).toEqual({ probe: true });
  });

  it('is probed after pauses that double, up to the longest', () => {
    fail(3);
    const pauses: number[] = [];
    for (let number = 0; number < 9; number += 1) {
      pauses.push(wait(host.admit()) / 1000);
      time += wait(host.admit());
      expect(host.admit()).toEqual({ probe: true });
      host.failed(true, 'again');
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it('is asked as usual after one answer', () => {
    fail(3);
    time += 5000;
    host.admit();
    expect(host.answered()).toBe(true);
    expect(host.answered()).toBe(false);
    expect(host.held()).toBeUndefined();
    expect(host.admit()).toEqual({ probe: false });
  });

  it('is not probed before the moment that it named', () => {
    fail(2);
    host.failed(false, 'busy', new Date(time + 60_000));
    expect(wait(host.admit())).toBe(60_000);
    time += 60_000;
    host.admit();
    host.failed(true, 'busy', new Date(time + 120_000));
    expect(wait(host.admit())).toBe(120_000);
  });

  it('that many wait for gets them back one after the other', () => {
    fail(3);
    random = 1;
    const waits = Array.from({ length: 10_000 }, () => wait(host.admit()));
    expect(waits[0]).toBe(7500);
    expect(Math.max(...waits)).toBe(25_000);
  });

  it('never has two probes, and is never held for ever', () => {
    const step = fc.constantFrom('admit', 'answer', 'fail', 'leave', 'wait');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const probes: true[] = [];
        const one = hostState({
          failures: 2,
          firstPause: 5000,
          longestPause: 300_000,
          now: () => time,
          random: Math.random,
        });
        for (const what of steps) {
          const admission = what === 'admit' ? one.admit() : undefined;
          if (admission !== undefined && 'probe' in admission && admission.probe) probes.push(true);
          if (admission !== undefined && 'held' in admission) {
            expect(wait(admission)).toBeLessThanOrEqual(450_000);
            expect(wait(admission)).toBeGreaterThan(0);
          }
          expect(probes.length).toBeLessThanOrEqual(1);
          if (what === 'answer') one.answered();
          if (what === 'fail') one.failed(probes.length > 0, 'x');
          if (what === 'leave') one.left(probes.length > 0);
          if (what === 'wait') time += 10_000;
          if (what !== 'admit' && what !== 'wait') probes.length = 0;
        }
        one.left(true);
        time += 300_000;
        const last = one.admit();
        expect('probe' in last).toBe(true);
      }),
    );
  });
});
