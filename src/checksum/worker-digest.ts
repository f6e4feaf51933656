import { RetryableError, messageOf } from '../errors.js';
import { algorithms, type ContentAlgorithm, type StreamDigest } from './algorithms.js';
import { takeSeat } from './digest-thread.js';

/** Buffers that may lie between the two threads; the sender waits when all are full. */
const buffersInFlight = 4;

/** Bytes gathered before they are handed over. */
const bufferSize = 256 * 1024;

/** A digest computed by another thread. Bytes are copied: the caller's buffer is free again at once. */
export function startWorkerDigest(algorithm: ContentAlgorithm): StreamDigest {
  const free: ArrayBuffer[] = Array.from({ length: buffersInFlight }, () => new ArrayBuffer(bufferSize));
  let filling: ArrayBuffer | undefined;
  let filled = 0;
  let failure: unknown;
  let value: string | undefined;
  let wake: (() => void) | undefined;

  const news = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const seat = takeSeat(algorithms[algorithm].hash, {
    free: (buffer) => {
      free.push(buffer);
      wake?.();
    },
    value: (computed) => {
      value = computed;
      seat.leave();
      wake?.();
    },
    failed: (error) => {
      failure = error;
      wake?.();
    },
  });
  const check = (): void => {
    if (failure === undefined) return;
    throw new RetryableError(`cannot compute a checksum: ${messageOf(failure)}`, { cause: failure });
  };
  const handOver = (): void => {
    if (filling !== undefined && filled > 0) seat.handOver(filling, filled);
    filling = undefined;
    filled = 0;
  };

  return {
    update: async (data) => {
      let taken = 0;
      while (taken < data.byteLength) {
        check();
        filling ??= free.pop();
        if (filling === undefined) {
          await news();
          continue;
        }
        const part = data.subarray(taken, taken + bufferSize - filled);
        new Uint8Array(filling).set(part, filled);
        filled += part.byteLength;
        taken += part.byteLength;
        if (filled === bufferSize) handOver();
      }
    },
    value: async () => {
      handOver();
      seat.finish();
      while (value === undefined) {
        check();
        await news();
      }
      return value;
    },
    abandon: seat.leave,
  };
}
