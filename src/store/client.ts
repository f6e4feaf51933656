import { deferred, type Deferred } from './deferred.js';

/** Who asks: one connection of an instance, or the owner itself. What it holds ends with it. */
export interface Client {
  readonly name: string;
}

/** A client in a queue; its promise is settled exactly once. */
export interface Waiter<T> {
  readonly client: Client;
  readonly answer: Deferred<T>;
}

/** A waiter that leaves the queue when `signal` aborts; `forget` takes it out of the queue. */
export function waiterOf<T>(client: Client, signal: AbortSignal | undefined, forget: () => void): Waiter<T> {
  const answer = deferred<T>();
  if (signal === undefined) return { client, answer };
  const abort = (): void => {
    forget();
    answer.reject(signal.reason);
  };
  const stopListening = (): void => signal.removeEventListener('abort', abort);
  signal.addEventListener('abort', abort, { once: true });
  answer.promise.then(stopListening, stopListening);
  return { client, answer };
}
