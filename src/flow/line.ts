import type { Logger } from '../logger.js';
import { createFlow } from './flow.js';
import type { Flow, Pace, Step } from './recipe.js';
import type { Fan, Intake, Settler, Stage } from './stage.js';

/** A recipe being written: items start as S and are I after the steps so far. */
export interface Line<S, I> {
  readonly to: <Gain extends object>(stage: Stage<I, Gain>) => Line<S, I & Gain>;
  /** The item becomes several; `ends` settle each of these parts, before the item itself is settled. */
  readonly each: <O>(fan: Fan<I, O>, ...ends: readonly Settler<O>[]) => Line<S, O>;
  readonly settling: (...last: readonly Settler<S>[]) => Flow;
}

/** Begins a recipe: `from(intake).to(stage).each(fan).settling(settler, ...)`. */
export function from<S>(intake: Intake<S>, pace: Pace<S>, logger: Logger): Line<S, S> {
  const extend = <I>(steps: readonly Step[]): Line<S, I> => ({
    to: <Gain extends object>(stage: Stage<I, Gain>) =>
      extend<I & Gain>([...steps, { kind: 'stage', stage: stage as Stage<unknown> }]),
    each: <O>(fan: Fan<I, O>, ...ends: readonly Settler<O>[]) =>
      extend<O>([
        ...steps,
        {
          kind: 'fan',
          fan: fan as Fan<unknown, unknown>,
          settlers: ends as readonly Settler<unknown>[],
        },
      ]),
    settling: (...last) => createFlow({ intake, steps, settlers: last, pace, logger }),
  });
  return extend<S>([]);
}
