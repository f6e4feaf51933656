/** A counter of free lanes with a fair queue: first come, first served. */
export interface Lanes {
  /** Undefined when one is free: it is ours then. */
  readonly enter: () => Promise<void> | undefined;
  readonly leave: () => void;
}

export function createLanes(count: number): Lanes {
  let free = count;
  const waiting: (() => void)[] = [];
  let next = 0;
  return {
    enter: () => {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    leave: () => {
      const first = waiting[next];
      if (first === undefined) {
        free += 1;
        return;
      }
      next += 1;
      if (next === waiting.length) {
        waiting.length = 0;
        next = 0;
      }
      first();
    },
  };
}
