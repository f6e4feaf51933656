import { setTimeout as sleep } from 'node:timers/promises';
import { isDiskFull } from '../../file/disk-error.js';
import { diskSpace } from '../../file/free-space.js';
import type { Holds } from '../../flow/holds.js';
import type { Placed } from '../../flow/item.js';
import type { Settled } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import { blockLength } from '../../message/parts.js';

/*
 * A disk that is full is nobody's fault but the disk's: what meets it waits for room and is done then, and the queue
 * waits with it. Of several that wait, one after the other tries: together they would only fill it again.
 */

export interface FullOptions {
  /** Milliseconds between two looks at a full disk. */
  readonly every?: number;
  /** Milliseconds after which it is tried even if there seems to be no room: a quota does not show in what is free. */
  readonly anyway?: number;
  /** Milliseconds after which an item goes to the retry list, so that one that never fits keeps nobody for ever. */
  readonly limit?: number;
  /** Replaced only by tests. */
  readonly space?: typeof diskSpace;
}

/** Bytes that a file takes besides its own, and those asked for where nobody says how many it has. */
const BESIDES = 64 * 1024;
const UNKNOWN = 1024 * 1024;

/**
 * A stage, and what becomes of an item that meets a full disk in it: it holds the queue until there is room, and passes
 * the stage once more. What comes from the retry list, or can never fit, fails as before.
 */
export function whenFull<I extends Placed, O extends object>(
  holds: Holds,
  stage: Stage<I, O>,
  { every = 2000, anyway = 60_000, limit = 900_000, space = diskSpace }: FullOptions = {},
): Stage<I, O> {
  const inTurn = takingTurns();

  const waitForRoom = async (
    item: I,
    first: unknown,
    deadline: number,
    stop: AbortSignal,
  ): Promise<O | Settled> => {
    const root = item.target.within ?? item.target.root;
    const size = sizeOf(item) + BESIDES;
    let thrown = first;
    let tried = performance.now();
    for (;;) {
      const { free, total } = await space(root);
      if (size > total || performance.now() > deadline) throw thrown;
      const isWorthIt = free >= size || performance.now() - tried > anyway;
      if (isWorthIt) {
        try {
          return await stage.run(item, stop);
        } catch (again) {
          if (!isDiskFull(again)) throw again;
          thrown = again;
          tried = performance.now();
        }
      }
      await sleep(every, undefined, { signal: stop });
    }
  };

  const held = async (item: I, thrown: unknown, stop: AbortSignal): Promise<O | Settled> => {
    const deadline = performance.now() + limit;
    const end = holds.begin(`the disk of ${item.target.within ?? item.target.root} is full: make room`);
    try {
      return await inTurn(() => {
        stop.throwIfAborted();
        return waitForRoom(item, thrown, deadline, stop);
      });
    } finally {
      end();
    }
  };

  return {
    ...stage,
    run: (item, stop) => {
      const running = stage.run(item, stop);
      if (!(running instanceof Promise)) return running;
      return running.catch((thrown: unknown) => {
        if (!isDiskFull(thrown) || item.retry !== undefined || stop.aborted) throw thrown;
        return held(item, thrown, stop);
      });
    },
  };
}

function sizeOf({ subject: { change } }: Placed): number {
  const size = change.kind === 'write' && change.parts !== undefined ? blockLength(change.parts) : undefined;
  return size ?? UNKNOWN;
}

/** One after the other. */
function takingTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}
