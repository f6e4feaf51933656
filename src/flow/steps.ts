import type { Logger } from '../logger.js';
import type { Result } from './item.js';
import type { Step } from './recipe.js';
import { type Outcome, isSettled, outcomeOf, worst } from './outcome.js';
import { pass } from './stage.js';

/** Parts of one item that may be under way at once. */
const PARTS_AT_ONCE = 64;

/** What an item needs to pass from one of the two lane steps to the other. */
export interface Lane {
  /** Waits for one; whether the item may still begin then. */
  readonly enter: () => Promise<boolean> | boolean;
  /** Harmless where none was taken. */
  readonly leave: () => void;
}

const isWork = (step: Step): boolean =>
  step.kind === 'fan' || (step.kind === 'stage' && step.stage.isLight !== true);

/** Puts the lane around everything from the first to the last step that does work; parts keep that of their item. */
export function withLane(steps: readonly Step[]): readonly Step[] {
  const first = steps.findIndex(isWork);
  if (first === -1) return steps;
  const last = steps.findLastIndex(isWork);
  const way: Step[] = [...steps];
  if (!steps.some(({ kind }) => kind === 'fan')) way.splice(last + 1, 0, { kind: 'leave' });
  way.splice(first, 0, { kind: 'enter' });
  return way;
}

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

/**
 * A copy of an item that its stages add to. Made by a constructor, so that the engine keeps room for what will be added
 * and all items look alike to it: one that is spread and then grows gets a hidden class of its own, every time, and
 * whoever reads it afterwards is slow.
 */
class Growing {
  constructor(item: unknown) {
    Object.assign(this, item);
  }
}

/** Takes one item through the steps, until one of them settles it or none is left. */
export async function runSteps<S>(
  item: S,
  steps: readonly Step[],
  stop: AbortSignal,
  logger: Logger,
  lane?: Lane,
): Promise<Ended<S>> {
  let grown: unknown = item;
  let isOurs = false;
  try {
    for (let index = 0; index < steps.length; index += 1) {
      const step = steps[index] as Step;
      // A stage that does not look at the signal itself must not begin after it.
      if (stop.aborted) return { grown: grown as S, outcome: { kind: 'handed back' } };
      if (step.kind === 'leave') {
        lane?.leave();
        continue;
      }
      if (step.kind === 'enter') {
        const entered = lane?.enter();
        if ((entered instanceof Promise ? await entered : entered) !== false) continue;
        return { grown: grown as S, outcome: { kind: 'handed back' } };
      }
      if (step.kind === 'fan') {
        const outcome = await spread(grown, step, steps.slice(index + 1), stop, logger);
        return { grown: grown as S, outcome };
      }
      const given = step.stage.run(grown, stop);
      const answer = given instanceof Promise ? await given : given;
      if (answer === pass) continue;
      if (isSettled(answer)) return { grown: grown as S, outcome: answer.outcome };
      // Copied once, since whoever made the item may keep it; from then on nobody else has it while no stage is at work.
      grown = isOurs ? Object.assign(grown as object, answer) : Object.assign(new Growing(grown), answer);
      isOurs = true;
    }
    return { grown: grown as S, outcome: { kind: 'done', ...resultOf(grown) } };
  } catch (thrown) {
    return { grown: grown as S, outcome: outcomeOf(thrown, logger, stop) };
  }
}

type FanStep = Extract<Step, { readonly kind: 'fan' }>;

/** Takes the parts of an item through the remaining steps; the worst of their ends is the item's. */
async function spread(
  item: unknown,
  { fan, settlers }: FanStep,
  rest: readonly Step[],
  stop: AbortSignal,
  logger: Logger,
): Promise<Outcome> {
  let outcome: Outcome | undefined;
  const underWay = new Set<Promise<void>>();
  let fatal: { readonly thrown: unknown } | undefined;
  const begin = (part: unknown): void => {
    const work = runSteps(part, rest, stop, logger)
      .then(async ({ grown, outcome: own }) => {
        const end = await settlePart(grown, own, settlers, stop, logger);
        outcome = worst(outcome === undefined ? [end] : [outcome, end]);
      })
      .catch((thrown: unknown) => {
        fatal ??= { thrown };
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };
  try {
    for await (const part of fan.spread(item, stop)) {
      begin(part);
      if (underWay.size >= PARTS_AT_ONCE) await Promise.race(underWay);
      if (fatal !== undefined) break;
    }
  } finally {
    // Nothing of an item is still at work when the item has its end.
    await Promise.all(underWay);
  }
  if (fatal !== undefined) throw fatal.thrown;
  return outcome ?? worst([]);
}

/** Runs the settlers of one part; one that fails makes the part fail. */
async function settlePart(
  part: unknown,
  outcome: Outcome,
  settlers: FanStep['settlers'],
  stop: AbortSignal,
  logger: Logger,
): Promise<Outcome> {
  let final = outcome;
  for (const settler of settlers) {
    try {
      await settler.settle(part, final, stop);
    } catch (thrown) {
      final = outcomeOf(thrown, logger, stop);
    }
  }
  return final;
}
