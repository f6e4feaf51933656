import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { RetryableError } from '../errors.js';

/** A limit on bytes per second, shared by everything that passes through. */
export interface Rate {
  /** The same bytes, no faster than the limit allows. The iteration throws RetryableError when stopped. */
  readonly limit: (data: AsyncIterable<Uint8Array>, stop: AbortSignal) => AsyncIterable<Uint8Array>;
}

const unlimited: Rate = { limit: (data) => data };

/**
 * A token bucket of `kbytesPerSecond` KiB/s that holds one second's worth; 0 is no limit. Whoever takes more than
 * is there leaves a debt and waits until it is paid, so that large chunks pass and the average holds.
 */
export function openRate(kbytesPerSecond: number): Rate {
  if (!(kbytesPerSecond > 0)) return unlimited;
  const perMillisecond = (kbytesPerSecond * 1024) / 1000;
  const capacity = kbytesPerSecond * 1024;
  let tokens = capacity;
  let last = performance.now();

  /** Milliseconds to wait before the next bytes may be asked for. */
  const take = (bytes: number): number => {
    const now = performance.now();
    tokens = Math.min(capacity, tokens + (now - last) * perMillisecond) - bytes;
    last = now;
    return tokens >= 0 ? 0 : -tokens / perMillisecond;
  };
  const pause = async (milliseconds: number, stop: AbortSignal): Promise<void> => {
    try {
      setMaxListeners(0, stop);
      await delay(milliseconds, undefined, { signal: stop });
    } catch (error) {
      throw new RetryableError('stopped while the bandwidth limit was waited for', { cause: error });
    }
  };

  return {
    limit: (data, stop) => ({
      [Symbol.asyncIterator]: () => {
        const inner = data[Symbol.asyncIterator]();
        const giveUp = async (): Promise<IteratorResult<Uint8Array>> => {
          await inner.return?.();
          return { done: true, value: undefined };
        };
        return {
          next: async () => {
            const result = await inner.next();
            if (result.done === true) return result;
            const wait = take(result.value.byteLength);
            if (wait === 0) return result;
            try {
              await pause(wait, stop);
            } catch (error) {
              await giveUp();
              throw error;
            }
            return result;
          },
          return: giveUp,
        };
      },
    }),
  };
}
