import type { Link } from '../../store/owner/link.js';

/** Signs of life of another process. */
export interface Pulse {
  /** Milliseconds that the last answer took, or that the open question has waited when that is longer. */
  readonly took: () => number | undefined;
  /** It answers later than it should, and may do so yet. */
  readonly isLate: () => boolean;
  readonly end: () => void;
}

export interface PulseOptions {
  /** Milliseconds without an answer after which it counts as hung. */
  readonly hang: number;
  /** Milliseconds between two questions. */
  readonly beat: number;
  readonly hung: () => void;
}

/** Beats without an answer after which people are told. */
const LATE = 3;

/**
 * Asks again and again, one question at a time. A process that is busy answers late, and is well; one that hangs
 * answers never. Time in which this process itself was kept from running does not count: it says nothing of the other.
 */
export function createPulse(link: Pick<Link, 'request'>, { hang, beat, hung }: PulseOptions): Pulse {
  let last: number | undefined;
  let asked: number | undefined;
  let beats = 0;
  let before = performance.now();
  const ask = (): void => {
    const at = performance.now();
    asked = at;
    beats = 0;
    link.request('ping', []).then(
      () => {
        last = performance.now() - at;
        asked = undefined;
        beats = 0;
      },
      // Who holds the connection learns of its end by itself.
      () => clearInterval(timer),
    );
  };
  const timer = setInterval(() => {
    const now = performance.now();
    const isPunctual = now - before < 2 * beat;
    before = now;
    if (asked === undefined) return ask();
    if (!isPunctual) return;
    beats += 1;
    if (beats * beat < hang) return;
    clearInterval(timer);
    hung();
  }, beat);
  ask();
  return {
    took: () => (asked === undefined ? last : Math.max(last ?? 0, performance.now() - asked)),
    isLate: () => beats >= LATE,
    end: () => clearInterval(timer),
  };
}
