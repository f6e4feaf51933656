import type { Holds } from '../../flow/holds.js';
import { type Stage, pass } from '../../flow/stage.js';

/** Lets nothing pass while the queue is held. */
export function gate(holds: Holds): Stage<object> {
  const through = async (waiting: Promise<void>, stop: AbortSignal): Promise<object> => {
    await waiting;
    // Somebody else may have begun to hold meanwhile.
    const again = holds.over(stop);
    return again === undefined ? pass : through(again, stop);
  };
  return {
    name: 'gate',
    isLight: true,
    run: (_item, stop) => {
      const waiting = holds.over(stop);
      return waiting === undefined ? pass : through(waiting, stop);
    },
  };
}
