/** A stop that comes by itself when the time is over. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Takes the time back: what it was for has ended. */
  readonly end: () => void;
}

/**
 * Aborted after so many milliseconds, or with `stop`. It has a timer of its own, because Node 20 may forget an
 * AbortSignal.timeout that only another signal listens to. It keeps no process running.
 */
export function deadline(milliseconds: number, stop?: AbortSignal): Deadline {
  const over = new AbortController();
  const ended = new AbortController();
  const timer = setTimeout(() => {
    ended.abort();
    over.abort(new DOMException(`not done within ${milliseconds} ms`, 'TimeoutError'));
  }, milliseconds).unref();
  const end = (): void => {
    clearTimeout(timer);
    ended.abort();
  };
  const follow = (): void => {
    end();
    over.abort(stop?.reason);
  };
  if (stop?.aborted === true) follow();
  else stop?.addEventListener('abort', follow, { once: true, signal: ended.signal });
  return { signal: over.signal, end };
}
