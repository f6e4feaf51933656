import type { Logger } from '../logger.js';
import type { Result } from './item.js';
import type { Step } from './recipe.js';
import { type Outcome, isSettled, outcomeOf, worst } from './outcome.js';
import { type Fan, pass } from './stage.js';

/** Parts of one item that may be under way at once. */
const PARTS_AT_ONCE = 64;

/** How far an item came, and how it ended. */
export interface Ended<S> {
  /** The largest form it reached; settlers need what its stages have added. */
  readonly grown: S;
  readonly outcome: Outcome;
}

const resultOf = (item: unknown): Result =>
  typeof item === 'object' && item !== null && 'result' in item && item.result !== undefined
    ? (item.result as Result)
    : { code: 201, text: 'Done' };

/** Takes one item through the steps, until one of them settles it or none is left. */
export async function runSteps<S>(
  item: S,
  steps: readonly Step[],
  stop: AbortSignal,
  logger: Logger,
): Promise<Ended<S>> {
  let grown: unknown = item;
  try {
    for (const [index, step] of steps.entries()) {
      if (step.kind === 'fan') {
        const outcome = await spread(grown, step.fan, steps.slice(index + 1), stop, logger);
        return { grown: grown as S, outcome };
      }
      const answer = await step.stage.run(grown, stop);
      if (isSettled(answer)) return { grown: grown as S, outcome: answer.outcome };
      if (answer !== pass) grown = { ...(grown as object), ...answer };
    }
    return { grown: grown as S, outcome: { kind: 'done', ...resultOf(grown) } };
  } catch (thrown) {
    return { grown: grown as S, outcome: outcomeOf(thrown, logger, stop) };
  }
}

/** Takes the parts of an item through the remaining steps; the worst of their ends is the item's. */
async function spread(
  item: unknown,
  fan: Fan<unknown, unknown>,
  rest: readonly Step[],
  stop: AbortSignal,
  logger: Logger,
): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  const underWay = new Set<Promise<void>>();
  for await (const part of fan.spread(item, stop)) {
    const work: Promise<void> = runSteps(part, rest, stop, logger).then(({ outcome }) => {
      outcomes.push(outcome);
      underWay.delete(work);
    });
    underWay.add(work);
    if (underWay.size >= PARTS_AT_ONCE) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return worst(outcomes);
}
