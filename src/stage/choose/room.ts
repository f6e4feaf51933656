import { setTimeout as sleep } from 'node:timers/promises';
import { freeSpace } from '../../file/free-space.js';
import type { Holds } from '../../flow/holds.js';
import type { Placed } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';

export interface RoomOptions {
  /** Bytes that are to stay free on the disk; 0 asks nothing. */
  readonly least: number;
  /** Milliseconds between two looks at a full disk. */
  readonly every?: number;
  /** Replaced only by tests. */
  readonly free?: (path: string) => Promise<number>;
}

/** Milliseconds for which an answer counts while there is room. */
const FRESH = 500;

/** Holds the queue while the disk of the target has too little room. What needs none passes. */
export function room(holds: Holds, { least, every = 2000, free = freeSpace }: RoomOptions): Stage<Placed> {
  const asked = new Map<string, { readonly at: number; readonly bytes: Promise<number> }>();
  const bytesOn = (root: string, age: number): Promise<number> => {
    const known = asked.get(root);
    if (known !== undefined && performance.now() - known.at < age) return known.bytes;
    const bytes = free(root);
    asked.set(root, { at: performance.now(), bytes });
    return bytes;
  };
  const missing = async (root: string, age: number): Promise<string | undefined> => {
    const bytes = await bytesOn(root, age);
    return bytes >= least
      ? undefined
      : `${bytes} bytes are free on the disk of ${root}, free_space_min is ${least}: make room`;
  };
  const wait = async (root: string, stop: AbortSignal): Promise<object> => {
    const reason = await missing(root, FRESH);
    if (reason === undefined) return pass;
    const end = holds.begin(reason);
    try {
      do await sleep(every, undefined, { signal: stop });
      while ((await missing(root, every / 2)) !== undefined);
      return pass;
    } finally {
      end();
    }
  };
  return {
    name: 'room',
    run: ({ subject, target }, stop) =>
      least === 0 || subject.change.kind !== 'write' ? pass : wait(target.within ?? target.root, stop),
  };
}
