import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { FatalError, messageOf, PermanentError, type RetryableError } from '../errors.js';
import type { Logger } from '../logger.js';
import { createCounter } from './balance.js';
import { createLanes } from './lanes.js';
import type { Flow, Pace, Step } from './recipe.js';
import { createOrder } from './order.js';
import type { Outcome } from './outcome.js';
import type { Intake, Member, Settler } from './stage.js';
import { type Ended, type Lane, runSteps, withLane } from './steps.js';

/*
 * The only loop of the house. It takes items while fewer than `inHand` are unsettled, lets at most `lanes` of
 * them through the stages that do the work at once, keeps the events of one path in order, and settles each exactly
 * once. Waiting for the broker's confirm is no work: whoever only waits gives its lane to the next.
 *
 * Settlers run in the written order and acknowledging is the last of them, so whatever an acknowledgement claims
 * has already happened. An item whose settling fails is handed back instead: the broker still has it.
 *
 * Stopping: the intake ends at once, items that have not begun or wait for a lane are handed back, those inside the
 * stages get a grace and are then aborted. A FatalError ends everything the same way, without a grace, and is thrown by run. A
 * stop whose reason is a FatalError gives no grace either.
 */

/** Milliseconds before an item whose settling failed is handed back, so that a lasting fault does not spin. */
const SETTLING_FAULT_PAUSE = 1000;

export interface FlowParts<S> {
  readonly intake: Intake<S>;
  readonly steps: readonly Step[];
  readonly settlers: readonly Settler<S>[];
  readonly pace: Pace<S>;
  readonly logger: Logger;
}

const membersOfStep = (step: Step): readonly Member[] => {
  if (step.kind === 'stage') return [step.stage];
  return step.kind === 'fan' ? [step.fan, ...step.settlers] : [];
};

const membersOf = <S>({ intake, steps, settlers }: FlowParts<S>): readonly Member[] => [
  intake,
  ...steps.flatMap(membersOfStep),
  ...settlers,
];

/** Makes the engine for one recipe. Use `from` of line.ts, which checks the types. */
export function createFlow<S>(parts: FlowParts<S>): Flow {
  const { intake, pace, logger } = parts;
  const counter = createCounter();
  const members = membersOf(parts);

  const run = async (stop: AbortSignal, lost?: AbortSignal): Promise<void> => {
    const fatal = new AbortController();
    const abort = new AbortController();
    const ending = AbortSignal.any([stop, fatal.signal, ...(lost === undefined ? [] : [lost])]);
    // Every item in hand listens to these: many listeners are no leak.
    setMaxListeners(0, stop, abort.signal, ending);
    const handle = itemHandler(parts, { ending, abort: abort.signal, counter });
    const inHand = new Set<Promise<void>>();
    let room: (() => void) | undefined;

    const carry = async (item: S): Promise<void> => {
      try {
        await handle(item);
      } catch (thrown) {
        // Unsettled: it is handed back by the end of this process.
        counter.settle({ kind: 'handed back' });
        if (!fatal.signal.aborted) fatal.abort(thrown);
        abort.abort();
      }
      counter.leave();
    };
    const begin = (item: S): void => {
      const work = carry(item).then(() => {
        inHand.delete(work);
        room?.();
      });
      inHand.add(work);
    };

    const started: Member[] = [];
    const graceOver = startGrace(lost === undefined ? [stop] : [stop, lost], pace.grace, abort);
    const housekeeping = keepHouse(members, pace.housekeeping, abort.signal, logger);
    try {
      for (const member of members) {
        await member.start?.(ending);
        started.push(member);
      }
      for await (const item of intake.items(ending)) {
        counter.take(item);
        begin(item);
        if (inHand.size >= pace.inHand) await new Promise<void>((resolve) => (room = resolve));
        if (ending.aborted) break;
      }
      while (inHand.size > 0) await Promise.all(inHand);
    } catch (thrown) {
      abort.abort();
      while (inHand.size > 0) await Promise.all(inHand);
      throw thrown;
    } finally {
      graceOver.cancel();
      // No item is in hand any more; housekeeping that is under way is not waited for to its end.
      abort.abort();
      await housekeeping.end();
      for (const member of started.reverse()) await stopMember(member, logger);
    }
    if (fatal.signal.aborted) throw fatal.signal.reason;
  };

  return { run, balance: counter.balance };
}

interface Surroundings {
  /** Aborted when no new item may begin. */
  readonly ending: AbortSignal;
  /** Aborted when items inside the stages must give up. */
  readonly abort: AbortSignal;
  readonly counter: ReturnType<typeof createCounter>;
}

/** The way of one item: its turn, a lane, the stages, the settlers. Rejects only with what ends the process. */
function itemHandler<S>(
  { steps, settlers, pace, logger }: FlowParts<S>,
  { ending, abort, counter }: Surroundings,
): (item: S) => Promise<void> {
  const order = createOrder();
  const lanes = createLanes(pace.lanes);
  const way = withLane(steps);
  const mayBegin = (item: S): boolean => !ending.aborted && pace.isLost?.(item) !== true;

  const laneFor = (item: S): Lane => {
    let isInside = false;
    return {
      enter: () => {
        isInside = true;
        const turn = lanes.enter();
        return turn === undefined ? mayBegin(item) : turn.then(() => mayBegin(item));
      },
      leave: () => {
        if (isInside) lanes.leave();
        isInside = false;
      },
    };
  };

  const work = (item: S, lane: Lane): Ended<S> | Promise<Ended<S>> =>
    mayBegin(item)
      ? runSteps(item, way, abort, logger, lane)
      : { grown: item, outcome: { kind: 'handed back' } };

  return async (item) => {
    const place = order.join(pace.touches(item));
    const lane = laneFor(item);
    try {
      if (place.turn !== undefined) await place.turn;
      const { grown, outcome } = await work(item, lane);
      lane.leave();
      const settledAs = pace.settledAs?.(outcome) ?? outcome;
      counter.settle(await settle(grown, settledAs, settlers, logger, abort));
    } finally {
      lane.leave();
      place.leave();
    }
  };
}

/** Runs the settlers; returns the outcome that held in the end. */
async function settle<S>(
  item: S,
  outcome: Outcome,
  settlers: readonly Settler<S>[],
  logger: Logger,
  abort: AbortSignal,
): Promise<Outcome> {
  let final = outcome;
  for (const settler of settlers) {
    try {
      const work = settler.settle(item, final, abort);
      if (work !== undefined) await work;
    } catch (thrown) {
      if (thrown instanceof FatalError) throw thrown;
      if (final.kind === 'handed back') {
        logger.error(`${settler.name}: could not hand an item back: ${messageOf(thrown)}`);
        continue;
      }
      if (thrown instanceof PermanentError && final.kind === 'failed') {
        // It can never be kept: handed back, it would come again and again.
        final = { kind: 'refused', error: unkeepable(thrown, final.error) };
        continue;
      }
      if (!abort.aborted) {
        logger.error(`${settler.name}: could not settle an item, it is handed back: ${messageOf(thrown)}`);
        await pause(SETTLING_FAULT_PAUSE, undefined, { signal: abort }).catch(() => undefined);
      }
      final = { kind: 'handed back' };
      try {
        await settler.settle(item, final, abort);
      } catch (again) {
        logger.error(`${settler.name}: could not hand an item back: ${messageOf(again)}`);
      }
    }
  }
  return final;
}

const unkeepable = (why: PermanentError, failure: RetryableError): PermanentError =>
  new PermanentError(
    why.code,
    `${messageOf(failure)}; it cannot be kept to be tried again: ${messageOf(why)}`,
    { cause: why },
  );

/** A stop begins the grace; one whose reason is fatal, whether first or later, ends it. */
function startGrace(
  signals: readonly AbortSignal[],
  grace: number,
  abort: AbortController,
): { cancel: () => void } {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const begin = (signal: AbortSignal): void => {
    // Whoever has lost what it needs to work (its store) must not change anything any more.
    if (signal.reason instanceof FatalError) abort.abort();
    else timer ??= setTimeout(() => abort.abort(), grace);
  };
  for (const signal of signals) {
    if (signal.aborted) begin(signal);
    else signal.addEventListener('abort', () => begin(signal), { once: true, signal: over.signal });
  }
  return {
    cancel: () => {
      over.abort();
      clearTimeout(timer);
    },
  };
}

/** Housekeeping has its own clock: one long transfer does not make an instance look hung. */
function keepHouse(
  members: readonly Member[],
  period: number,
  stop: AbortSignal,
  logger: Logger,
): { end: () => Promise<void> } {
  let round: Promise<void> | undefined;
  const once = async (): Promise<void> => {
    for (const member of members) {
      try {
        if (!stop.aborted) await member.housekeep?.(new Date(), stop);
      } catch (thrown) {
        logger.error(`${member.name}: housekeeping failed: ${messageOf(thrown)}`);
      }
    }
    round = undefined;
  };
  const timer = setInterval(() => {
    round ??= once();
  }, period);
  timer.unref();
  return {
    end: async () => {
      clearInterval(timer);
      await round;
    },
  };
}

async function stopMember(member: Member, logger: Logger): Promise<void> {
  try {
    await member.stop?.();
  } catch (thrown) {
    logger.error(`${member.name}: did not stop cleanly: ${messageOf(thrown)}`);
  }
}
