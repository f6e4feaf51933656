import { RetryableError, messageOf } from '../errors.js';
import { algorithms, type ContentAlgorithm } from './algorithms.js';
import { takeSeat } from './digest-thread.js';

/** Bytes of a file that are read by a thread at once, and that it may be behind. */
const pieceSize = 1024 * 1024;
const mostBehind = 32 * pieceSize;

/** A digest of what is being written to a file. End it with `value` or `abandon`. */
export interface WrittenDigest {
  /** So many bytes are in the file now, from the first on. Await it before the next call. */
  readonly written: (bytes: number) => Promise<void> | undefined;
  /** Of all bytes written, lower-case hex. Throws RetryableError when they cannot be read. */
  readonly value: () => Promise<string>;
  /** Gives up; harmless after `value`. Nobody reads from the file any more when it has resolved. */
  readonly abandon: () => Promise<void>;
}

/**
 * Another thread reads what was written, a little later, and computes: the bytes cross no border between threads, and
 * take none of our memory. `offset` is where the first one goes.
 */
export function startWrittenDigest(
  algorithm: ContentAlgorithm,
  descriptor: number,
  offset: number,
): WrittenDigest {
  let there = 0;
  let asked = 0;
  /** Lengths of what is being read, in order. */
  const pieces: number[] = [];
  let behind = 0;
  let failure: unknown;
  let value: string | undefined;
  let wake: (() => void) | undefined;

  const news = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const seat = takeSeat(algorithms[algorithm].hash, {
    read: (why) => {
      behind -= pieces.shift() ?? 0;
      failure ??= why;
      wake?.();
    },
    value: (computed) => {
      value = computed;
      wake?.();
    },
    // The thread is gone, or was left: it reads nothing any more.
    failed: (error) => {
      pieces.length = 0;
      behind = 0;
      failure ??= error;
      wake?.();
    },
  });
  const check = (): void => {
    if (failure === undefined) return;
    throw new RetryableError(`cannot compute a checksum: ${messageOf(failure)}`, { cause: failure });
  };
  const ask = (least: number): void => {
    while (there - asked >= least && there > asked) {
      const length = Math.min(pieceSize, there - asked);
      seat.read(descriptor, offset + asked, length);
      pieces.push(length);
      behind += length;
      asked += length;
    }
  };
  const catchUp = async (most: number): Promise<void> => {
    while (behind > most) await news();
  };

  return {
    written: (bytes) => {
      there = bytes;
      check();
      ask(pieceSize);
      return behind > mostBehind ? catchUp(mostBehind) : undefined;
    },
    value: async () => {
      ask(1);
      seat.finish();
      while (value === undefined) {
        check();
        await news();
      }
      return value;
    },
    abandon: async () => {
      await catchUp(0);
      seat.leave();
    },
  };
}
