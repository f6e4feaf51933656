import type { Outcome, Settled } from './outcome.js';

/*
 * The five parts a flow is made of. Members are function properties on purpose: with method shorthand TypeScript
 * compares parameters loosely, and recipes in the wrong order would compile.
 */

/**
 * Anything with a life: started before the first item, kept in order periodically, stopped after the last. What
 * takes long gives up when `stop` is aborted.
 */
export interface Member {
  readonly name: string;
  readonly start?: (stop: AbortSignal) => Promise<void>;
  readonly housekeep?: (now: Date, stop: AbortSignal) => Promise<void>;
  readonly stop?: () => Promise<void>;
}

/** Where items come from. The iteration ends when `stop` is aborted, or when there is nothing more to come. */
export interface Intake<S> extends Member {
  readonly items: (stop: AbortSignal) => AsyncIterable<S>;
}

/**
 * One step: returns what the item gains, or its end. It fits wherever items have at least what it needs, so a
 * recipe in the wrong order does not compile. Throws RetryableError, PermanentError or FatalError. One that has its
 * answer at once gives it at once: most items pass most stages so, and nobody needs to wait for them.
 */
export interface Stage<Need, Gain extends object = object> extends Member {
  /**
   * Moves no bytes and runs nobody else's code: it has its answer at once, or waits for the broker or the store. Where
   * no stage before it, or none after it, does more, an item takes no lane for it.
   */
  readonly isLight?: boolean;
  readonly run: (item: Need, stop: AbortSignal) => Gain | Settled | Promise<Gain | Settled>;
}

/** What a stage returns that lets an item pass as it is. */
export const pass: object = Object.freeze({});

/** The only kind of step in which one item becomes several. */
export interface Fan<I, O> extends Member {
  readonly spread: (item: I, stop: AbortSignal) => AsyncIterable<O>;
}

/**
 * Does what is due when an item has ended. Settlers run in the written order; acknowledging is the last. One that
 * waits for somebody else gives up when `stop` is aborted, by throwing: the item is handed back then. One that has
 * nothing to wait for answers nothing.
 */
export interface Settler<S> extends Member {
  readonly settle: (item: S, outcome: Outcome, stop: AbortSignal) => Promise<void> | undefined;
}
