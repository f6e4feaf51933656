/** In which order the keeper does what it is asked to do. */
export interface Turns {
  /** One after the other, in the order in which they were asked for. */
  readonly queue: <T>(work: () => Promise<T>) => Promise<T>;
  /** Now, beside what is at work; what is queued later waits for its end. */
  readonly now: <T>(work: () => Promise<T>) => Promise<T>;
}

export function takeTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  const then = (work: Promise<unknown>): void => {
    last = Promise.allSettled([last, work]);
  };
  return {
    queue: (work) => {
      const next = last.then(work);
      then(next);
      return next;
    },
    now: (work) => {
      const begun = work();
      then(begun);
      return begun;
    },
  };
}
