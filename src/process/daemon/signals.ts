export interface Signals {
  /** Resolves at the first TERM or INT. */
  readonly ended: Promise<void>;
  readonly stop: AbortSignal;
  readonly cancel: () => void;
}

/**
 * Turns signals into something that can be awaited. A second INT, for the impatient, is left to the system. HUP is
 * the end of the terminal, and of what runs in it, unless `hangUp` says what else to do.
 */
export function untilSignal(options: { readonly hangUp?: () => void } = {}): Signals {
  const stop = new AbortController();
  let resolve: () => void = () => undefined;
  const ended = new Promise<void>((done) => (resolve = done));
  const end = (): void => {
    stop.abort();
    resolve();
  };
  const hangUp = (): void => (options.hangUp ?? end)();
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  process.on('SIGHUP', hangUp);
  return {
    ended,
    stop: stop.signal,
    cancel: () => {
      process.off('SIGTERM', end);
      process.off('SIGINT', end);
      process.off('SIGHUP', hangUp);
    },
  };
}
