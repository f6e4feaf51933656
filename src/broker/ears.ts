/** Signals that messages listen to: one listener for all that share a signal, and none when the last is done. */
export interface Ear {
  readonly signal: AbortSignal;
  readonly onAbort: () => void;
  /** Messages that listen. */
  count: number;
}

export interface Ears {
  /** One more message listens; end it with `unhear`. */
  readonly hear: (signal: AbortSignal) => Ear;
  readonly unhear: (ear: Ear) => void;
}

/** `stopped` is called when the signal of an ear is aborted. */
export function openEars(stopped: (ear: Ear) => void): Ears {
  const open = new Map<AbortSignal, Ear>();
  return {
    hear: (signal) => {
      const known = open.get(signal);
      if (known !== undefined) {
        known.count += 1;
        return known;
      }
      const onAbort = (): void => {
        stopped(ear);
      };
      const ear: Ear = { signal, onAbort, count: 1 };
      signal.addEventListener('abort', onAbort, { once: true });
      open.set(signal, ear);
      return ear;
    },
    unhear: (ear) => {
      ear.count -= 1;
      if (ear.count > 0) return;
      ear.signal.removeEventListener('abort', ear.onAbort);
      open.delete(ear.signal);
    },
  };
}
