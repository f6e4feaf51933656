import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTextFile } from '../../config/text-file.js';
import type { ListedQueue } from '../../broker/listed.js';

/*
 * Brokers do not tell since when a queue has no consumer. So each audit writes down which queues it found without one,
 * and the next one knows since when it has been so at least.
 */

const fileIn = (state: string): string => join(state, 'unread.json');

/** Since when queues have been seen without consumer. A file that cannot be understood is none. */
export function readUnread(state: string): ReadonlyMap<string, number> {
  const text = readTextFile(fileIn(state));
  if (text === undefined) return new Map();
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found !== 'object' || found === null) return new Map();
    return new Map(
      Object.entries(found).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
    );
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    return new Map();
  }
}

/** Queues without consumer now, each with the moment from which that is known. */
export const nextUnread = (
  queues: readonly ListedQueue[],
  before: ReadonlyMap<string, number>,
  now: number,
): ReadonlyMap<string, number> =>
  new Map(
    queues
      .filter(({ consumers }) => consumers === 0)
      .map(({ name }) => [name, Math.min(before.get(name) ?? now, now)]),
  );

export function writeUnread(state: string, unread: ReadonlyMap<string, number>): void {
  mkdirSync(state, { recursive: true });
  writeFileSync(fileIn(state), JSON.stringify(Object.fromEntries(unread)));
}
