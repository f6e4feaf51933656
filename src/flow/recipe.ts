import type { Balance } from './balance.js';
import type { Outcome } from './outcome.js';
import type { Touch } from './order.js';
import type { Fan, Settler, Stage } from './stage.js';

/** How fast a flow goes, what must stay in order, and whether there is a later for what failed. */
export interface Pace<S> {
  /** Items at once between the first and the last stage that is not light: the one place that decides how many
   * transfers run. */
  readonly lanes: number;
  /** Items taken and not yet settled, at most. */
  readonly inHand: number;
  /** The paths an item touches; items touching the same path run one after the other. */
  readonly touches: (item: S) => readonly Touch[];
  /** Where it came from has taken it back and gives it out again: it is not begun any more. */
  readonly isLost?: (item: S) => boolean;
  /** What an outcome is where nothing is tried again; absent, all are as the stages gave them. */
  readonly settledAs?: (outcome: Outcome) => Outcome;
  /** Milliseconds that items inside the stages get when we are stopped, before they are aborted. */
  readonly grace: number;
  /** Milliseconds between two rounds of housekeeping. */
  readonly housekeeping: number;
}

/** A recipe that can run. */
export interface Flow {
  /** Ends when the intake has ended, or `stop` was aborted, and everything in hand is settled or handed back.
   * When `lost` is aborted, what it needs to work is gone: no grace is given, not even one that has begun. */
  readonly run: (stop: AbortSignal, lost?: AbortSignal) => Promise<void>;
  readonly balance: () => Balance;
}

/** One step of a recipe, for the engine. Types are checked where the recipe is written. */
export type Step =
  /** A lane is taken, and given back. */
  | { readonly kind: 'enter' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'stage'; readonly stage: Stage<unknown> }
  | {
      readonly kind: 'fan';
      readonly fan: Fan<unknown, unknown>;
      /** Run at the end of each part. */
      readonly settlers: readonly Settler<unknown>[];
    };
