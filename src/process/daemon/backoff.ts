/*
 * When something that failed is tried again: after 1 s, then after twice as long each time, up to a minute. Whoever
 * lived long enough in between has recovered, and its pauses begin anew.
 */

/** Milliseconds of life after which a failure is the first again. */
const RECOVERED = 300_000;
const FIRST = 1000;
const LONGEST = 60_000;

export interface Backoff {
  /** Counts a failure after so many milliseconds of life; answers the milliseconds until the next attempt. */
  readonly next: (lived: number) => number;
  /** Failures in all. */
  readonly failures: () => number;
  /** The next failure is a first one again. */
  readonly forget: () => void;
}

export interface BackoffOptions {
  /** The first attempt follows without a pause: most likely the failure was nobody's fault but that of who killed it. */
  readonly atOnce?: boolean;
}

export function createBackoff({ atOnce = false }: BackoffOptions = {}): Backoff {
  let recent = 0;
  let failures = 0;
  return {
    next: (lived) => {
      if (lived > RECOVERED) recent = 0;
      const doublings = atOnce ? recent - 1 : recent;
      recent += 1;
      failures += 1;
      return doublings < 0 ? 0 : Math.min(FIRST * 2 ** Math.min(doublings, 10), LONGEST);
    },
    failures: () => failures,
    forget: () => (recent = 0),
  };
}
