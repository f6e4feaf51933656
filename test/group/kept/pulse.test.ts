import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPulse } from '../../../src/group/kept/pulse.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const BEAT = 1000;

/** A process that answers after `delay` milliseconds; never when undefined. */
function processWith(delay: () => number | undefined): { readonly request: () => Promise<unknown> } {
  return {
    request: () =>
      new Promise((resolve) => {
        const after = delay();
        if (after !== undefined) setTimeout(resolve, after, null);
      }),
  };
}

describe('signs of life', () => {
  it('that do not come for the whole time are a hang, told once', async () => {
    const hung = vi.fn();
    const pulse = createPulse(
      processWith(() => undefined),
      { beat: BEAT, hang: 10 * BEAT, hung },
    );
    await vi.advanceTimersByTimeAsync(9.5 * BEAT);
    expect(hung).not.toHaveBeenCalled();
    expect(pulse.isLate()).toBe(true);
    await vi.advanceTimersByTimeAsync(20 * BEAT);
    expect(hung).toHaveBeenCalledTimes(1);
  });

  it('that come late are no hang, however often', async () => {
    const hung = vi.fn();
    const pulse = createPulse(
      processWith(() => 9 * BEAT),
      { beat: BEAT, hang: 10 * BEAT, hung },
    );
    await vi.advanceTimersByTimeAsync(200 * BEAT);
    expect(hung).not.toHaveBeenCalled();
    expect(pulse.took()).toBeGreaterThanOrEqual(9 * BEAT);
    pulse.end();
  });

  it('are not missed while this process itself did not run', async () => {
    const hung = vi.fn();
    const pulse = createPulse(
      processWith(() => undefined),
      { beat: BEAT, hang: 10 * BEAT, hung },
    );
    // Each turn of the timer comes an hour late: nobody can say what the other did meanwhile.
    const clock = vi.spyOn(performance, 'now');
    for (let turn = 1; turn <= 30; turn += 1) {
      clock.mockReturnValue(turn * 3_600_000);
      await vi.advanceTimersByTimeAsync(BEAT);
    }
    expect(hung).not.toHaveBeenCalled();
    clock.mockRestore();
    pulse.end();
  });
});
