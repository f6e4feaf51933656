import { setMaxListeners } from 'node:events';
import { RetryableError } from '../errors.js';

/** Asks for some of `wanted` bytes at `perSecond`; waits for them. Whoever else moves bytes has asked there, too. */
export type Lease = (perSecond: number, wanted: number, stop: AbortSignal) => Promise<number>;

/** A limit on bytes per second, shared by everything that passes through. */
export interface Rate {
  /** The same bytes, no faster than the limit allows. The iteration throws RetryableError when stopped. */
  readonly limit: (data: AsyncIterable<Uint8Array>, stop: AbortSignal) => AsyncIterable<Uint8Array>;
}

export interface RateOptions {
  readonly lease: Lease;
  /** Told when bytes had to wait for longer than a moment. */
  readonly waited?: () => void;
}

/** Milliseconds of waiting after which the limit is what holds us up. */
const MOMENT = 500;

/** Milliseconds for which bytes that were leased and not moved are ours. */
const KEPT = 200;

/** Somebody with bytes in hand that are to go on. */
interface Waiting {
  missing: number;
  readonly go: () => void;
  readonly fail: (thrown: Error) => void;
}

/**
 * At most `kbytesPerSecond` KiB/s. Bytes go on when they have all been leased. All who wait in this process ask
 * together, for what they have in hand and as much again as was moved with the lease before, so that small files need
 * not ask for each; what is not used within a fifth of a second is let go.
 */
export function openRate(kbytesPerSecond: number, { lease, waited }: RateOptions): Rate {
  const perSecond = kbytesPerSecond * 1024;
  const most = Math.max(1, Math.floor(perSecond / 10));
  const queue: Waiting[] = [];
  let left = 0;
  let until = 0;
  let moved = 0;
  let asking: AbortController | undefined;

  /** Hands out what is there, in order. */
  const spread = (): void => {
    if (performance.now() > until) left = 0;
    for (let first = queue[0]; first !== undefined && left > 0; first = queue[0]) {
      const given = Math.min(left, first.missing);
      left -= given;
      moved += given;
      first.missing -= given;
      if (first.missing > 0) return;
      queue.shift();
      first.go();
    }
  };
  const ask = async (): Promise<void> => {
    if (asking !== undefined) return;
    const control = new AbortController();
    asking = control;
    try {
      // Whoever came after all others had stopped waiting asks anew.
      while (queue.length > 0 && asking === control) {
        const inHand = queue.reduce((sum, { missing }) => sum + missing, 0);
        const wanted = Math.min(most, inHand + moved);
        moved = 0;
        const given = await lease(perSecond, wanted, control.signal);
        left += given;
        until = performance.now() + KEPT;
        spread();
      }
    } catch (thrown) {
      if (asking === control) for (const { fail } of queue.splice(0)) fail(thrown as Error);
    } finally {
      if (asking === control) asking = undefined;
    }
  };
  const giveUpAsking = (reason: unknown): void => {
    asking?.abort(reason);
    asking = undefined;
  };
  const take = (bytes: number, stop: AbortSignal): Promise<void> | undefined => {
    if (queue.length === 0 && performance.now() <= until && left >= bytes) {
      left -= bytes;
      moved += bytes;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const end = (): void => stop.removeEventListener('abort', abort);
      const since = performance.now();
      const waiting: Waiting = {
        missing: bytes,
        go: () => {
          end();
          if (performance.now() - since > MOMENT) waited?.();
          resolve();
        },
        fail: (thrown) => {
          end();
          reject(thrown);
        },
      };
      const abort = (): void => {
        const index = queue.indexOf(waiting);
        if (index < 0) return;
        queue.splice(index, 1);
        if (queue.length === 0) giveUpAsking(stop.reason);
        waiting.fail(new RetryableError('stopped while the bandwidth limit was waited for'));
      };
      if (stop.aborted) {
        reject(new RetryableError('stopped while the bandwidth limit was waited for'));
        return;
      }
      setMaxListeners(0, stop);
      stop.addEventListener('abort', abort, { once: true });
      queue.push(waiting);
      spread();
      if (queue.length > 0) void ask();
    });
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
            if (result.done === true || result.value.byteLength === 0) return result;
            try {
              await take(result.value.byteLength, stop);
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
