/** When a server is left alone, and when it is tried again. Decisions only: no clock of its own, no I/O. */

export interface HoldRules {
  /** Failures in a row after which a server is left alone. */
  readonly failures: number;
  /** Milliseconds before the first probe; doubled with every probe that fails, up to the longest. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** There is no other server: all who wait do so for this one, in an order that is kept elsewhere. */
  readonly isAlone?: boolean | undefined;
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** A server that is left alone, as an operator sees it. Times in milliseconds since 1970. */
export interface HeldHost {
  readonly host: string;
  readonly since: number;
  readonly nextProbe: number;
  readonly reason: string;
}

/** The right to ask; `held` names the moment before which asking again is of no use. */
export type Admission = { readonly probe: boolean } | { readonly held: number };

export interface HostState {
  readonly admit: () => Admission;
  /** The server answered, with whatever. True when it was left alone until now. */
  readonly answered: () => boolean;
  /** It failed as a whole. True when it is left alone from now on. `isOver`: not one failure, the server is silent. */
  readonly failed: (probe: boolean, reason: string, notBefore?: Date, isOver?: boolean) => boolean;
  /** The one who asked has gone without knowing. */
  readonly left: (probe: boolean) => void;
  /** When it is left alone. */
  readonly held: () => Omit<HeldHost, 'host'> | undefined;
}

/** Milliseconds between two items that come back to a server that was left alone, when very many wait for it. */
const apart = 2;

export function hostState(rules: HoldRules): HostState {
  const { now, random } = rules;
  let failures = 0;
  /** 0 while the server is asked as usual. */
  let pause = 0;
  let since = 0;
  /** When the pause began: earlier than that it can only be by a clock that was set back. */
  let paused = 0;
  let nextProbe = 0;
  let probing = false;
  let refused = 0;
  let why = '';

  const wait = (milliseconds: number, notBefore: Date | undefined): void => {
    pause = Math.min(milliseconds, rules.longestPause);
    paused = now();
    nextProbe = Math.max(now() + pause, notBefore?.getTime() ?? 0);
    refused = 0;
  };

  return {
    admit: () => {
      if (pause === 0) return { probe: false };
      if (!probing && (now() >= nextProbe || now() < paused)) {
        probing = true;
        return { probe: true };
      }
      if (rules.isAlone === true) return { held: nextProbe };
      // Spread, so that neither all come back in one moment nor the list of those who wait is gone through in vain.
      refused += 1;
      const earliest = probing ? now() + pause : nextProbe;
      return { held: earliest + random() * Math.max(pause / 2, refused * apart) };
    },
    answered: () => {
      const wasHeld = pause > 0;
      failures = 0;
      pause = 0;
      probing = false;
      return wasHeld;
    },
    failed: (probe, reason, notBefore, isOver = false) => {
      if (pause > 0) {
        // Others that were under way when it began to be left alone tell nothing new.
        if (!probe) return false;
        probing = false;
        why = reason;
        wait(pause * 2, notBefore);
        return false;
      }
      failures += 1;
      if (failures < rules.failures && !isOver) return false;
      since = now();
      why = reason;
      wait(rules.firstPause, notBefore);
      return true;
    },
    left: (probe) => {
      if (probe) probing = false;
    },
    held: () => (pause === 0 ? undefined : { since, nextProbe, reason: why }),
  };
}
