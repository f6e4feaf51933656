import { describe, expect, it } from 'vitest';
import { FatalError, PermanentError, RetryableError } from '../../src/errors.js';
import { from } from '../../src/flow/line.js';
import { type Outcome, done, dropped } from '../../src/flow/outcome.js';
import type { Pace } from '../../src/flow/recipe.js';
import { type Intake, type Settler, type Stage, pass } from '../../src/flow/stage.js';
import { silentLogger } from '../../src/logger.js';

interface Job {
  readonly path: string;
  readonly n: number;
}

const pace: Pace<Job> = {
  lanes: 4,
  inHand: 8,
  touches: (job) => [{ path: job.path, subtree: false }],
  grace: 20,
  housekeeping: 60_000,
};

const list = (jobs: readonly Job[]): Intake<Job> => ({
  name: 'list',
  async *items() {
    yield* jobs;
  },
});

/** Yields the jobs, then waits until it is stopped. */
const endless = (jobs: readonly Job[]): Intake<Job> => ({
  name: 'endless',
  async *items(stop) {
    yield* jobs;
    if (!stop.aborted)
      await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  },
});

const stage = (run: Stage<Job>['run']): Stage<Job> => ({ name: 'stage', run });

function recorder(): Settler<Job> & { readonly ends: (readonly [Job, Outcome])[] } {
  const ends: (readonly [Job, Outcome])[] = [];
  return { name: 'recorder', ends, settle: async (job, outcome) => void ends.push([job, outcome]) };
}

const jobs = (count: number): Job[] => Array.from({ length: count }, (_, n) => ({ path: `p${n}`, n }));

describe('flow', () => {
  it('settles every item exactly once, with the outcome its stages gave', async () => {
    const end = recorder();
    const flow = from(list(jobs(6)), pace, silentLogger)
      .to(
        stage(async (job) => {
          if (job.n === 1) return dropped('rule');
          if (job.n === 2) return done(304, 'same');
          if (job.n === 3) throw new PermanentError(417, 'bad');
          if (job.n === 4) throw new RetryableError('later');
          if (job.n === 5) throw new TypeError('bug');
          return job;
        }),
      )
      .settling(end);
    await flow.run(new AbortController().signal);
    const kinds = new Map(end.ends.map(([job, outcome]) => [job.n, outcome.kind]));
    expect([...kinds.entries()].sort()).toEqual([
      [0, 'done'],
      [1, 'dropped'],
      [2, 'done'],
      [3, 'refused'],
      [4, 'failed'],
      [5, 'failed'],
    ]);
    expect(flow.balance()).toEqual({
      taken: 6,
      retried: 0,
      inHand: 0,
      done: { '201': 1, '304': 1 },
      dropped: 1,
      refused: 1,
      failed: 2,
      handedBack: 0,
    });
  });

  it('settles and counts what failed as its pace says, once, before the first settler', async () => {
    const [first, last] = [recorder(), recorder()];
    const flow = from(
      list(jobs(2)),
      {
        ...pace,
        settledAs: (outcome) => (outcome.kind === 'failed' ? { kind: 'dropped', by: 'us' } : outcome),
      },
      silentLogger,
    )
      .to(
        stage(async (job) => {
          if (job.n === 1) throw new RetryableError('later');
          return job;
        }),
      )
      .settling(first, last);
    await flow.run(new AbortController().signal);
    for (const { ends } of [first, last])
      expect(ends.map(([job, outcome]) => [job.n, outcome.kind]).toSorted()).toEqual([
        [0, 'done'],
        [1, 'dropped'],
      ]);
    expect(flow.balance()).toMatchObject({ dropped: 1, failed: 0 });
  });

  it('runs at most `lanes` items in the stages and holds at most `inHand`', async () => {
    let inside = 0;
    let most = 0;
    let taken = 0;
    let settledCount = 0;
    let mostHeld = 0;
    const intake: Intake<Job> = {
      name: 'counting',
      async *items() {
        for (const job of jobs(100)) {
          taken += 1;
          mostHeld = Math.max(mostHeld, taken - settledCount);
          yield job;
        }
      },
    };
    const flow = from(intake, pace, silentLogger)
      .to(
        stage(async (job) => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside -= 1;
          return job;
        }),
      )
      .settling({ name: 'count', settle: async () => void (settledCount += 1) });
    await flow.run(new AbortController().signal);
    expect(most).toBe(4);
    expect(mostHeld).toBeLessThanOrEqual(9);
    expect(settledCount).toBe(100);
  });

  it('keeps the events of one path in order, and a directory event apart from what is below it', async () => {
    const log: string[] = [];
    const events: Job[] = [
      { path: 'd/a', n: 1 },
      { path: 'd/a', n: 2 },
      { path: 'd', n: 3 },
      { path: 'd/b', n: 4 },
    ];
    const flow = from(
      list(events),
      { ...pace, touches: (job) => [{ path: job.path, subtree: job.n === 3 }] },
      silentLogger,
    )
      .to(
        stage(async (job) => {
          log.push(`begin ${job.n}`);
          for (let turn = 0; turn < 5 - job.n; turn += 1)
            await new Promise((resolve) => setImmediate(resolve));
          log.push(`end ${job.n}`);
          return job;
        }),
      )
      .settling();
    await flow.run(new AbortController().signal);
    expect(log).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3', 'begin 4', 'end 4']);
  });

  it('on stop hands back what has not begun, and aborts after the grace what has', async () => {
    const end = recorder();
    const stop = new AbortController();
    let begun = 0;
    const flow = from(endless(jobs(8)), pace, silentLogger)
      .to(
        stage(
          (job, signal) =>
            new Promise((resolve, reject) => {
              begun += 1;
              if (begun === 4) stop.abort();
              if (job.n === 0) setImmediate(() => resolve(job));
              else
                signal.addEventListener('abort', () => reject(new RetryableError('aborted')), { once: true });
            }),
        ),
      )
      .settling(end);
    await flow.run(stop.signal);
    expect(begun).toBe(4);
    expect(end.ends.filter(([, outcome]) => outcome.kind === 'done')).toHaveLength(1);
    expect(end.ends.filter(([, outcome]) => outcome.kind === 'handed back').length).toBe(end.ends.length - 1);
  });

  it('hands back what was lost before its turn or its lane came, and begins the others', async () => {
    const end = recorder();
    const lost = new Set<number>();
    const events: Job[] = [
      { path: 'same', n: 0 },
      { path: 'same', n: 1 },
      { path: 'other', n: 2 },
      { path: 'another', n: 3 },
    ];
    const begun: number[] = [];
    const flow = from(list(events), { ...pace, lanes: 1, isLost: ({ n }) => lost.has(n) }, silentLogger)
      .to(
        stage(async (job) => {
          begun.push(job.n);
          if (job.n === 0) {
            // The intake hands out the others meanwhile.
            await new Promise((resolve) => setImmediate(resolve));
            lost.add(0).add(1).add(2);
          }
          return job;
        }),
      )
      .settling(end);
    await flow.run(new AbortController().signal);
    expect([...begun].sort()).toEqual([0, 3]);
    const kinds = end.ends.map(([job, outcome]) => [job.n, outcome.kind]).sort();
    expect(kinds).toEqual([
      [0, 'done'],
      [1, 'handed back'],
      [2, 'handed back'],
      [3, 'done'],
    ]);
  });

  it('throws a FatalError and leaves the item unsettled', async () => {
    const end = recorder();
    const flow = from(endless(jobs(2)), pace, silentLogger)
      .to(
        stage(async (job) => {
          if (job.n === 1) throw new FatalError('store lost');
          return job;
        }),
      )
      .settling(end);
    await expect(flow.run(new AbortController().signal)).rejects.toThrow('store lost');
    expect(end.ends.map(([job]) => job.n)).toEqual([0]);
    // It adds up all the same: the end of this process gives the item back.
    expect(flow.balance()).toMatchObject({ taken: 2, done: { '201': 1 }, handedBack: 1, inHand: 0 });
  });

  it('hands an item back when a settler fails, and runs no later settler with the lost outcome', async () => {
    const end = recorder();
    const stop = new AbortController();
    const failing: Settler<Job> = {
      name: 'failing',
      settle: async (_job, outcome) => {
        if (outcome.kind !== 'handed back') {
          setImmediate(() => stop.abort());
          throw new RetryableError('disk full');
        }
      },
    };
    const flow = from(endless(jobs(1)), pace, silentLogger).settling(failing, end);
    await flow.run(stop.signal);
    expect(end.ends.map(([, outcome]) => outcome.kind)).toEqual(['handed back']);
    expect(flow.balance().handedBack).toBe(1);
  });

  it('refuses what failed and can never be kept, with both reasons', async () => {
    const end = recorder();
    const keeping: Settler<Job> = {
      name: 'keeping',
      settle: async () => {
        throw new PermanentError(413, 'its headers are too long');
      },
    };
    const flow = from(list(jobs(1)), pace, silentLogger)
      .to(
        stage(async () => {
          throw new RetryableError('answered 503');
        }),
      )
      .settling(keeping, end);
    await flow.run(new AbortController().signal);
    expect(end.ends).toMatchObject([
      [
        {},
        {
          kind: 'refused',
          error: {
            code: 413,
            message: 'answered 503; it cannot be kept to be tried again: its headers are too long',
          },
        },
      ],
    ]);
    expect(flow.balance()).toMatchObject({ taken: 1, refused: 1, failed: 0, handedBack: 0 });
  });

  it('gives no grace when the reason of the stop is fatal, and begins no further stage', async () => {
    const stop = new AbortController();
    const end = recorder();
    const log: string[] = [];
    const flow = from(endless(jobs(1)), { ...pace, grace: 600_000 }, silentLogger)
      .to(
        stage(async (_job, signal) => {
          setImmediate(() => stop.abort(new FatalError('the store is gone')));
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          log.push('ended late, without a word');
          return pass;
        }),
      )
      .to(
        stage(async () => {
          log.push('changed something');
          return pass;
        }),
      )
      .settling(end);
    await flow.run(stop.signal);
    expect(log).toEqual(['ended late, without a word']);
    expect(end.ends.map(([, outcome]) => outcome.kind)).toEqual(['handed back']);
  });

  it('ends a grace that has begun when what it needs is lost', async () => {
    const stop = new AbortController();
    const lost = new AbortController();
    const end = recorder();
    const flow = from(endless(jobs(1)), { ...pace, grace: 600_000 }, silentLogger)
      .to(
        stage(async (_job, signal) => {
          setImmediate(() => {
            stop.abort();
            setImmediate(() => lost.abort(new FatalError('the store is gone')));
          });
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          return pass;
        }),
      )
      .to(stage(async () => pass))
      .settling(end);
    await flow.run(stop.signal, lost.signal);
    expect(end.ends.map(([, outcome]) => outcome.kind)).toEqual(['handed back']);
  });

  it('starts members in order, keeps house, stops them in reverse', async () => {
    const log: string[] = [];
    const member = (name: string): Settler<Job> => ({
      name,
      start: async () => void log.push(`start ${name}`),
      stop: async () => void log.push(`stop ${name}`),
      housekeep: async () => void log.push(`house ${name}`),
      settle: async () => undefined,
    });
    const stop = new AbortController();
    const watcher: Settler<Job> = {
      name: 'watcher',
      settle: async () => undefined,
      housekeep: async () => stop.abort(),
    };
    const flow = from(endless([]), { ...pace, housekeeping: 1 }, silentLogger).settling(
      member('a'),
      member('b'),
      watcher,
    );
    await flow.run(stop.signal);
    expect(log.slice(0, 4)).toEqual(['start a', 'start b', 'house a', 'house b']);
    expect(log.slice(-2)).toEqual(['stop b', 'stop a']);
  });
});

describe('each', () => {
  it('gives the parent the worst end of its parts', async () => {
    const end = recorder();
    const flow = from(list(jobs(1)), pace, silentLogger)
      .each<number>({
        name: 'parts',
        async *spread() {
          yield 1;
          yield 2;
          yield 3;
        },
      })
      .to({
        name: 'part',
        run: async (part: number) => {
          if (part === 2) throw new RetryableError('part 2');
          return pass;
        },
      })
      .settling(end);
    await flow.run(new AbortController().signal);
    expect(end.ends.map(([job, outcome]) => [job.n, outcome.kind])).toEqual([[0, 'failed']]);
  });
});
