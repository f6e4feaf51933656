import { describe, expect, it } from 'vitest';
import { World, type Action, type Message, type Scenario } from '../assembly-world.js';

/** Walks through every state that any order of events leads to, once. Answers how many there are. */
async function explore(scenario: Scenario): Promise<number> {
  const seen = new Set<string>();
  const replay = async (path: readonly Action[]): Promise<World> => {
    const world = await World.create(scenario);
    for (const action of path) await world.perform(action);
    return world;
  };
  const visit = async (world: World, path: readonly Action[]): Promise<void> => {
    const print = world.fingerprint();
    if (seen.has(print)) return;
    seen.add(print);
    const actions = world.enabled();
    if (actions.length === 0) return world.checkEnd();
    for (const [index, action] of actions.entries()) {
      // The last goes on where we are; the others begin again, for a state cannot be copied.
      const next = index === actions.length - 1 ? world : await replay(path);
      try {
        await next.perform(action);
        await visit(next, [...path, action]);
      } catch (error) {
        if (error instanceof Explained) throw error;
        throw new Explained([...path, action], error);
      }
    }
  };
  await visit(await World.create(scenario), []);
  return seen.size;
}

/** An error, and how it came to it. */
class Explained extends Error {
  constructor(path: readonly Action[], cause: unknown) {
    super(`${String(cause)} after\n${path.map((action) => JSON.stringify(action)).join('\n')}`, { cause });
  }
}

const versionOf = (name: string, count: number, change: Partial<Message> = {}): readonly Message[] =>
  Array.from({ length: count }, (_, number) => ({
    generation: name,
    number,
    sum: `${name}${number}`,
    instant: 1,
    age: 0,
    ...change,
  }));

const nothing = { fail: 0, die: 0, kill: 0, 'late write': 0, remove: 0 };
const one = { ...nothing, die: 1, 'late write': 1 };

/** More mishaps together, where there is time for it. */
const isLong = process.env['SR_LONG'] !== undefined;

describe(
  'two writers, in every order of all that can happen',
  { timeout: isLong ? 1_800_000 : 60_000 },
  () => {
    it.each([
      { mishaps: { ...nothing, fail: 1 }, least: 400 },
      { mishaps: isLong ? { ...one, die: 2, fail: 1 } : one, least: 700 },
      { mishaps: { ...nothing, kill: isLong ? 2 : 1 }, least: 1000 },
    ])('bring three blocks together once, with $mishaps', async ({ mishaps, least }) => {
      const target = ['a0', 'a1', 'a2'];
      const states = await explore({ count: 3, messages: versionOf('a', 3), target, budget: mishaps });
      expect(states).toBeGreaterThan(least);
    });

    it.each([
      { mishaps: { ...nothing, remove: isLong ? 3 : 2 }, least: 400 },
      { mishaps: { ...nothing, remove: 1, fail: 1 }, least: 400 },
      { mishaps: { ...nothing, remove: 1, die: 1, 'late write': isLong ? 1 : 0 }, least: 400 },
      { mishaps: { ...nothing, remove: 1, kill: 1 }, least: 400 },
    ])('never leave a hole where somebody removes the file, with $mishaps', async ({ mishaps, least }) => {
      const count = isLong || mishaps.remove > 1 ? 3 : 2;
      const target = ['a0', 'a1', 'a2'].slice(0, count);
      const states = await explore({ count, messages: versionOf('a', count), target, budget: mishaps });
      expect(states).toBeGreaterThan(least);
    });

    it.each([
      { ...nothing, fail: 1 },
      { ...nothing, die: 1 },
      { ...nothing, kill: 1 },
    ])('bring blocks together that are delivered twice, with %j', async (budget) => {
      const messages = versionOf('a', 2)
        .flatMap((message) => [message, message])
        .slice(1);
      expect(await explore({ count: 2, messages, target: ['a0', 'a1'], budget })).toBeGreaterThan(100);
    });

    it.each([
      { ...nothing, die: 1 },
      { ...nothing, kill: 1 },
    ])('leave the newer of two generations, and no mixture, with %j', async (budget) => {
      // One block of the older is enough to be in the way; both make ten times as many states.
      const older = versionOf('a', 2).slice(0, isLong ? 2 : 1);
      const messages = [...older, ...versionOf('b', 2, { instant: 2 })];
      expect(await explore({ count: 2, messages, target: ['b0', 'b1'], budget })).toBeGreaterThan(200);
    });

    it.each([
      { ...nothing, fail: 1 },
      { ...nothing, die: 1 },
      { ...nothing, kill: 1 },
    ])('leave the newer of two contents of one generation, with %j', async (budget) => {
      const older = versionOf('a', 2);
      const newer = older.map((message) => ({ ...message, sum: `b${message.number}`, instant: 2, age: 1 }));
      expect(
        await explore({ count: 2, messages: [...older, ...newer], target: ['b0', 'b1'], budget }),
      ).toBeGreaterThan(200);
    });
  },
);
