import { FatalError, PermanentError, RetryableError, messageOf } from '../errors.js';
import type { Logger } from '../logger.js';

/** How an item ended. Every item has exactly one. */
export type Outcome =
  /** Done, or found not to be necessary (304): reported and acknowledged. */
  | {
      readonly kind: 'done';
      readonly code: number;
      readonly text: string;
      /** A newer state of the path was there first: what this item says is not what is here. */
      readonly overtaken?: boolean;
    }
  /** A rule or a plugin said no: acknowledged, no report. */
  | { readonly kind: 'dropped'; readonly by: string }
  /** Never works: reported and acknowledged. */
  | { readonly kind: 'refused'; readonly error: PermanentError }
  /** May work later: kept in the retry list, acknowledged. */
  | { readonly kind: 'failed'; readonly error: RetryableError }
  /** Not finished when we were stopped: given back to where it came from. */
  | { readonly kind: 'handed back' };

const settledMark: unique symbol = Symbol('settled');

/** What a stage returns instead of a grown item when the item has come to its end. */
export interface Settled {
  readonly [settledMark]: true;
  readonly outcome: Outcome;
}

export const settled = (outcome: Outcome): Settled => ({ [settledMark]: true, outcome });

/** Ends an item as done; the code is a report code. */
export const done = (code: number, text: string): Settled => settled({ kind: 'done', code, text });

/** Ends an item because `by` (a rule, a hook) does not want it. */
export const dropped = (by: string): Settled => settled({ kind: 'dropped', by });

export const isSettled = (value: unknown): value is Settled =>
  typeof value === 'object' && value !== null && settledMark in value;

/**
 * The only place where an exception becomes an outcome. A FatalError is nobody's outcome: it is thrown on, and
 * ends the process with everything in hand unacknowledged. What is not one of our errors is a bug: logged with
 * its stack and treated as retryable, so that it ends in the retry list and expires there.
 */
export function outcomeOf(thrown: unknown, logger: Logger, stop: AbortSignal): Outcome {
  if (thrown instanceof FatalError) throw thrown;
  if (stop.aborted) return { kind: 'handed back' };
  if (thrown instanceof PermanentError) return { kind: 'refused', error: thrown };
  if (thrown instanceof RetryableError) return { kind: 'failed', error: thrown };
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  logger.error(`unexpected failure, the item will be tried again: ${stack}`);
  return { kind: 'failed', error: new RetryableError(messageOf(thrown), { cause: thrown }) };
}

const rank: Readonly<Record<Outcome['kind'], number>> = {
  dropped: 0,
  done: 1,
  refused: 2,
  failed: 3,
  'handed back': 4,
};

/** Of the outcomes of one item's parts, the one that decides about the whole. */
export function worst(outcomes: readonly Outcome[]): Outcome {
  let chosen: Outcome = { kind: 'dropped', by: 'nothing to do' };
  for (const outcome of outcomes) if (rank[outcome.kind] >= rank[chosen.kind]) chosen = outcome;
  return chosen;
}
