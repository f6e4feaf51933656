import { type Entry, keyOf } from '../entry.js';
import type { Result } from '../words.js';

/** A start that was asked for and is not over: who stops some of it meanwhile tells it, and it goes on without them. */
export interface Starting {
  readonly drop: (keys: readonly string[]) => void;
  readonly dropAll: () => void;
  /** Those of the entries that are still to be started. */
  readonly left: <E extends Entry>(entries: readonly E[]) => readonly E[];
  /** What became of all: those dropped were stopped, whatever happened to them on the way. */
  readonly outcome: (asked: readonly Entry[], results: readonly Result[]) => readonly Result[];
}

export function newStarting(): Starting {
  const dropped = new Set<string>();
  let isAll = false;
  const isDropped = (key: string): boolean => isAll || dropped.has(key);
  return {
    drop: (keys) => {
      for (const key of keys) dropped.add(key);
    },
    dropAll: () => (isAll = true),
    left: (entries) => entries.filter((entry) => !isDropped(keyOf(entry))),
    outcome: (asked, results) => [
      ...results.filter(({ key }) => !isDropped(key)),
      ...asked
        .map(keyOf)
        .filter(isDropped)
        .map((key) => ({ key, did: 'stopped', reason: 'while it was being started' }) as const),
    ],
  };
}
