/** Growing waits: the first try at once, then doubling with jitter up to a limit. */
export interface BackoffOptions {
  /** Milliseconds before the second try. */
  readonly base: number;
  /** Never longer than this many milliseconds. */
  readonly longest: number;
  /** 0 up to 1; replaced by tests. */
  readonly random?: () => number;
}

/**
 * Milliseconds to wait before try number `tried + 1`, when `tried` have failed in a row: 0 after none, then between half and all of
 * `base`, `2 base`, `4 base`, ... so that many clients that lost the same broker do not come back as one.
 */
export function backoff(tried: number, { base, longest, random = Math.random }: BackoffOptions): number {
  if (tried <= 0) return 0;
  const full = Math.min(longest, base * 2 ** Math.min(tried - 1, 30));
  return Math.round(full * (0.5 + 0.5 * random()));
}

/** Waits; resolves early, without an error, when `stop` is aborted. */
export function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted || milliseconds <= 0) {
      setImmediate(resolve);
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    stop.addEventListener('abort', done, { once: true });
  });
}
