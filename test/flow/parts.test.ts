import { describe, expect, it } from 'vitest';
import { FatalError, PermanentError, RetryableError } from '../../src/errors.js';
import { from } from '../../src/flow/line.js';
import type { Outcome } from '../../src/flow/outcome.js';
import type { Fan, Intake, Member, Settler } from '../../src/flow/stage.js';
import { type Stage, pass } from '../../src/flow/stage.js';
import { silentLogger } from '../../src/logger.js';

interface Item {
  readonly n: number;
}

const pace = { lanes: 2, inHand: 4, touches: () => [], grace: 10, housekeeping: 5 };
const one: Intake<Item> = {
  name: 'one',
  async *items() {
    yield { n: 0 };
  },
};
const parts = (...numbers: number[]): Fan<Item, Item> => ({
  name: 'parts',
  async *spread() {
    for (const n of numbers) yield { n };
  },
});
const stage = (run: (n: number) => void): Stage<Item> => ({
  name: 'stage',
  run: async ({ n }) => {
    run(n);
    return pass;
  },
});
const note = (ends: string[], fail = false): Settler<Item> => ({
  name: 'note',
  settle: async ({ n }, { kind }) => {
    ends.push(`${n} ${kind}`);
    if (fail) throw new RetryableError('cannot be noted');
  },
});
const never = new AbortController().signal;

describe('the parts of an item', () => {
  it('are settled each, before the item', async () => {
    const ends: string[] = [];
    const work = stage((n) => {
      if (n === 2) throw new PermanentError(499, 'bad');
    });
    await from(one, pace, silentLogger)
      .each(parts(1, 2), note(ends))
      .to(work)
      .settling(note(ends))
      .run(never);
    expect(ends.toSorted()).toEqual(['0 refused', '1 done', '2 refused']);
    expect(ends.at(-1)).toBe('0 refused');
  });

  it('fail when they cannot be settled', async () => {
    const ends: Outcome['kind'][] = [];
    const last: Settler<Item> = { name: 'last', settle: async (_item, { kind }) => void ends.push(kind) };
    await from(one, pace, silentLogger).each(parts(1), note([], true)).settling(last).run(never);
    expect(ends).toEqual(['failed']);
  });

  it('have all ended when the fan breaks in the middle', async () => {
    const ends: string[] = [];
    const breaking: Fan<Item, Item> = {
      name: 'breaking',
      async *spread() {
        yield { n: 1 };
        throw new RetryableError('unreadable');
      },
    };
    const slow: Stage<Item> = {
      name: 'slow',
      run: async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return pass;
      },
    };
    await from(one, pace, silentLogger).each(breaking, note(ends)).to(slow).settling(note(ends)).run(never);
    expect(ends).toEqual(['1 done', '0 failed']);
  });

  it('end the process with a FatalError of one of them', async () => {
    const work = stage(() => {
      throw new FatalError('broken plugin');
    });
    const flow = from(one, pace, silentLogger)
      .each(parts(1, 2, 3))
      .to(work)
      .settling(note([]));
    await expect(flow.run(never)).rejects.toThrow('broken plugin');
  });
});

it('does not wait for housekeeping that hangs', async () => {
  const stop = new AbortController();
  let signal: AbortSignal | undefined;
  const hanging: Member & Settler<Item> = {
    name: 'hanging',
    settle: async () => undefined,
    housekeep: async (_now, over) => {
      signal = over;
      stop.abort();
      await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
    },
  };
  const endless: Intake<Item> = {
    name: 'endless',
    async *items(end) {
      if (!end.aborted)
        await new Promise((resolve) => end.addEventListener('abort', resolve, { once: true }));
      yield* [];
    },
  };
  await from(endless, pace, silentLogger).settling(hanging).run(stop.signal);
  expect(signal?.aborted).toBe(true);
});
