import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { from } from '../../src/flow/line.js';
import type { Outcome } from '../../src/flow/outcome.js';
import type { Pace } from '../../src/flow/recipe.js';
import { type Fan, type Intake, type Settler, type Stage, pass } from '../../src/flow/stage.js';
import { silentLogger } from '../../src/logger.js';

interface Job {
  readonly n: number;
  readonly path: string;
  /** Turns of the event loop that the work takes, and that the confirm takes. */
  readonly work: number;
  readonly wait: number;
}

const job = (n: number, more: Partial<Job> = {}): Job => ({ n, path: `p${n}`, work: 1, wait: 1, ...more });
const jobs = (count: number): Job[] => Array.from({ length: count }, (_, n) => job(n));
const never = new AbortController().signal;

const paceWith = (more: Partial<Pace<Job>>): Pace<Job> => ({
  lanes: 1,
  inHand: 8,
  touches: ({ path }) => [{ path, subtree: false }],
  grace: 20,
  housekeeping: 60_000,
  ...more,
});

const list = (all: readonly Job[]): Intake<Job> => ({
  name: 'list',
  async *items() {
    yield* all;
  },
});

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
};

/** Counts those inside at once. */
function gauge(): { readonly most: () => number; readonly during: (work: Promise<void>) => Promise<void> } {
  let inside = 0;
  let most = 0;
  return {
    most: () => most,
    during: async (work) => {
      inside += 1;
      most = Math.max(most, inside);
      await work;
      inside -= 1;
    },
  };
}

const staged = (isLight: boolean, run: (one: Job, stop: AbortSignal) => Promise<void>): Stage<Job> => ({
  name: isLight ? 'light' : 'work',
  isLight,
  run: (one, stop) => run(one, stop).then(() => pass),
});

/** Settles when it is let go, or when it is aborted. */
function gate(): { readonly open: () => void; readonly wait: (stop: AbortSignal) => Promise<void> } {
  const waiting = new Set<() => void>();
  return {
    open: () => {
      for (const go of waiting) go();
    },
    wait: (stop) =>
      new Promise((resolve) => {
        waiting.add(resolve);
        stop.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
}

describe('a lane', () => {
  it('is free again while an item only waits', async () => {
    const [working, waiting] = [gauge(), gauge()];
    await from(list(jobs(20)), paceWith({ lanes: 2, inHand: 10 }), silentLogger)
      .to(staged(false, ({ work }) => working.during(turns(work))))
      .to(staged(true, () => waiting.during(turns(50))))
      .settling()
      .run(never);
    expect(working.most()).toBe(2);
    expect(waiting.most()).toBe(10);
  });

  it('is not taken before the work begins, and kept between two stages that work', async () => {
    const [before, between] = [gauge(), gauge()];
    const work = staged(false, () => turns(1));
    await from(list(jobs(20)), paceWith({ lanes: 2 }), silentLogger)
      .to(staged(true, () => before.during(turns(50))))
      .to(work)
      .to(staged(true, () => between.during(turns(5))))
      .to(work)
      .settling()
      .run(never);
    expect(before.most()).toBe(8);
    expect(between.most()).toBe(2);
  });

  it('is needed by nothing where nothing works', async () => {
    const waiting = gauge();
    await from(list(jobs(20)), paceWith({}), silentLogger)
      .to(staged(true, () => waiting.during(turns(10))))
      .settling()
      .run(never);
    expect(waiting.most()).toBe(8);
  });

  it('holds an item together with all of its parts', async () => {
    const items = gauge();
    const parts: Fan<Job, Job> = {
      name: 'parts',
      async *spread(one) {
        const over = items.during(turns(10));
        yield { ...one, path: 'a' };
        yield { ...one, path: 'b' };
        await over;
      },
    };
    await from(list(jobs(6)), paceWith({}), silentLogger)
      .each(parts)
      .to(staged(true, () => turns(3)))
      .settling()
      .run(never);
    expect(items.most()).toBe(1);
  });

  it('is given back by an item that ends before its last stage', async () => {
    const ends: string[] = [];
    const flow = from(list(jobs(9)), paceWith({}), silentLogger)
      .to({
        name: 'failing',
        run: ({ n }) => {
          if (n % 3 === 0) throw new Error('broken');
          return pass;
        },
      })
      .to(staged(false, () => turns(1)))
      .settling({ name: 'ends', settle: async (_one, { kind }) => void ends.push(kind) });
    await flow.run(never);
    expect(ends.filter((kind) => kind === 'done')).toHaveLength(6);
    expect(flow.balance()).toMatchObject({ taken: 9, failed: 3, inHand: 0 });
  });
});

describe('a stop', () => {
  it('hands back what waits for a lane, and lets what only waits for its answer come to its end', async () => {
    const stop = new AbortController();
    const [busy, confirm] = [gate(), gate()];
    const ends = new Map<number, Outcome['kind']>();
    const begun: number[] = [];
    const endless: Intake<Job> = {
      name: 'endless',
      async *items(ending) {
        yield* jobs(4);
        await new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }));
      },
    };
    const flow = from(endless, paceWith({ grace: 600_000 }), silentLogger)
      .to(staged(true, () => turns(1)))
      .to(
        staged(false, async ({ n }, signal) => {
          begun.push(n);
          if (n !== 1) return;
          // One waits for its confirm, one works, two wait for the lane.
          stop.abort();
          await turns(3);
          confirm.open();
          setImmediate(busy.open);
          await busy.wait(signal);
        }),
      )
      .to(staged(true, ({ n }, signal) => (n === 0 ? confirm.wait(signal) : turns(1))))
      .settling({ name: 'ends', settle: async ({ n }, { kind }) => void ends.set(n, kind) });
    await flow.run(stop.signal);
    expect(begun).toEqual([0, 1]);
    expect(Object.fromEntries(ends)).toEqual({ 0: 'done', 1: 'done', 2: 'handed back', 3: 'handed back' });
    expect(flow.balance()).toMatchObject({ taken: 4, done: { '201': 2 }, handedBack: 2, inHand: 0 });
  });

  it('aborts after the grace what waits for an answer that does not come', async () => {
    const stop = new AbortController();
    const ends: string[] = [];
    const flow = from(list(jobs(3)), paceWith({}), silentLogger)
      .to(
        staged(true, async ({ n }, signal) => {
          if (n === 2) stop.abort();
          await gate().wait(signal);
          signal.throwIfAborted();
        }),
      )
      .settling({ name: 'ends', settle: async (_one, { kind }) => void ends.push(kind) });
    await flow.run(stop.signal);
    expect(ends).toEqual(['handed back', 'handed back', 'handed back']);
  });
});

describe('order', () => {
  const someJobs = fc
    .array(
      fc.record({
        path: fc.constantFrom('a', 'b', 'c', 'c/d'),
        work: fc.nat({ max: 3 }),
        wait: fc.nat({ max: 6 }),
      }),
      { minLength: 1, maxLength: 30 },
    )
    .map((all) => all.map((one, n): Job => ({ ...one, n })));

  it('holds for every path until the item before is settled, whatever waits how long and where', async () => {
    await fc.assert(
      fc.asyncProperty(
        someJobs,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 12 }),
        async (all, lanes, inHand) => {
          const open = new Map<string, number>();
          const settled: Job[] = [];
          const [working, held] = [gauge(), new Set<number>()];
          let mostHeld = 0;
          const last: Settler<Job> = {
            name: 'last',
            settle: async (one) => {
              await turns(one.work);
              expect(open.get(one.path)).toBe(one.n);
              open.delete(one.path);
              held.delete(one.n);
              settled.push(one);
            },
          };
          const flow = from(list(all), paceWith({ lanes, inHand }), silentLogger)
            .to(
              staged(true, async ({ n, path, wait }) => {
                expect(open.has(path)).toBe(false);
                open.set(path, n);
                held.add(n);
                mostHeld = Math.max(mostHeld, held.size);
                await turns(wait % 2);
              }),
            )
            .to(staged(false, ({ work }) => working.during(turns(work))))
            .to(staged(true, ({ wait }) => turns(wait)))
            .settling(last);
          await flow.run(never);
          expect(settled.map(({ n }) => n).sort((a, b) => a - b)).toEqual(all.map(({ n }) => n));
          for (const path of new Set(all.map((one) => one.path))) {
            const order = settled.filter((one) => one.path === path).map(({ n }) => n);
            expect(order).toEqual(order.toSorted((a, b) => a - b));
          }
          expect(working.most()).toBeLessThanOrEqual(lanes);
          expect(mostHeld).toBeLessThanOrEqual(inHand);
          expect(flow.balance()).toMatchObject({ taken: all.length, failed: 0, inHand: 0 });
        },
      ),
      { numRuns: 100 },
    );
  });
});
