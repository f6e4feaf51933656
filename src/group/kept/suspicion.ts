/*
 * Whether one of the configurations in a process is what makes it die. Once is nobody's fault. Who dies again and again
 * is divided: half of what it carries goes to another process, and whichever dies once more is divided again, until the
 * one that does it is alone in its process, and the others are rid of it.
 */

/** Deaths within the span after which a process is divided for the first time. */
const DEATHS = 5;
/** Milliseconds: deaths before that do not count, and a part that has lived so long is under suspicion no more. */
const SPAN = 3_600_000;

export interface Suspicion {
  /** It died. Answers whether it is to be divided. */
  readonly died: () => boolean;
  /** It is, or is a part of, what was divided. */
  readonly begin: () => void;
  /** Under suspicion: nothing else is to be put beside what it carries. */
  readonly isOn: () => boolean;
}

export function createSuspicion(now: () => number): Suspicion {
  let deaths: number[] = [];
  let until = Number.NEGATIVE_INFINITY;
  const isOn = (): boolean => now() < until;
  const begin = (): void => {
    deaths = [];
    until = now() + SPAN;
  };
  return {
    died: () => {
      deaths = [...deaths.filter((at) => now() - at < SPAN), now()];
      const isDivided = isOn() || deaths.length >= DEATHS;
      if (isDivided) begin();
      return isDivided;
    },
    begin,
    isOn,
  };
}

/** What stays, and what goes. */
export const halves = <T>(all: readonly T[]): readonly [readonly T[], readonly T[]] => {
  const middle = Math.ceil(all.length / 2);
  return [all.slice(0, middle), all.slice(middle)];
};
