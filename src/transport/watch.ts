import { setMaxListeners } from 'node:events';
import { RetryableError } from '../errors.js';

/** Guards one transfer: cuts it when the other side is silent for too long, or when we are told to stop. */
export interface Watch {
  /** Raised, with the error as reason, when the transfer is cut; for libraries that take a signal. */
  readonly signal: AbortSignal;
  /**
   * Waits for the other side. Time counts only in here, so that a slow reader is not mistaken for a silent server.
   * Rejects with RetryableError when the transfer is cut, whatever becomes of the promise.
   */
  readonly wait: <T>(work: Promise<T>) => Promise<T>;
  /** No more waits will come. */
  readonly end: () => void;
}

/** `timeout` in milliseconds, 0 for none. `what` names the transfer in messages. */
export function watch(stop: AbortSignal, timeout: number, what: string): Watch {
  const controller = new AbortController();
  let reject: ((error: unknown) => void) | undefined;
  const cut = (error: RetryableError): void => {
    controller.abort(error);
    reject?.(error);
  };
  const onStop = (): void => {
    cut(new RetryableError(`stopped while fetching ${what}`, { cause: stop.reason }));
  };
  const timer =
    timeout > 0
      ? setTimeout(() => {
          if (reject !== undefined)
            cut(new RetryableError(`no byte for ${timeout / 1000} s while fetching ${what}`));
        }, timeout)
      : undefined;
  // One signal stops any number of transfers; Node would suspect a leak.
  setMaxListeners(0, stop);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();

  return {
    signal: controller.signal,
    wait: (work) =>
      new Promise((resolve, refuse) => {
        if (controller.signal.aborted) {
          work.catch(() => undefined);
          refuse(controller.signal.reason as RetryableError);
          return;
        }
        timer?.refresh();
        const settled = (): void => {
          reject = undefined;
        };
        reject = refuse;
        work.then(
          (value) => {
            settled();
            resolve(value);
          },
          (error: unknown) => {
            settled();
            refuse(error instanceof Error ? error : new Error(String(error)));
          },
        );
      }),
    end: () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', onStop);
    },
  };
}
