import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ended } from '../servers/programs.js';
import { type Source, makeSource } from '../servers/source.js';
import { strikeAt, strikeEach, struckStep } from './strike.js';

/*
 * Processes that die while they post, spool or drain, at every single step. The promise: what a process that ended
 * with 0 was given arrives, in order; whoever was told nothing runs the same command again; and of what was on its way
 * when a process died, one window of confirms at most comes twice.
 */

const long = process.env['SR_LONG'] !== undefined;
/** The most posts on their way at once. */
const WINDOW = 500;

let source: Source;

beforeEach(async () => {
  source = await makeSource();
});
afterEach(() => source.end());

const post = (words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  source.home.run('sr_post', words, { env });

/** While the broker is away. */
async function spool(paths: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  source.brokerGoes();
  const ended = await post(source.posting('--spool', 'on', ...paths), env);
  source.brokerComes();
  return ended;
}

const drain = (env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  post(['--drain', ...source.options], env);

function expectWell(...all: readonly Ended[]): void {
  for (const ended of all) expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
}

/** Whoever was killed has said nothing; the answer is the step. */
function killedBefore(ended: Ended): string | undefined {
  const step = struckStep(ended);
  if (step === undefined) expectWell(ended);
  else expect(ended.signal, ended.stderr).toBe('SIGKILL');
  return step;
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, number) => `n${String(number).padStart(4, '0')}`);

/** Everything once, in order, and then what came again, in order, too: so many at most. */
function expectOnceInOrder(arrived: readonly string[], wanted: readonly string[], about: string): void {
  expect([...new Set(arrived)], about).toEqual(wanted);
  expect(arrived.length - wanted.length, about).toBeLessThanOrEqual(WINDOW);
  const again = arrived.filter((name, index) => arrived.indexOf(name) !== index);
  expect(again, about).toEqual(again.toSorted());
  expect(new Set(again).size, `${about}: twice at most`).toBe(again.length);
}

describe('a process that is killed before a step', () => {
  it('of spooling: what it was given waits as a whole or not at all, and the next one works', async () => {
    const [a = '', b = '', c = ''] = await source.files('a', 'b', 'c');
    const steps = await strikeEach(
      async (at) => {
        const ended = await spool([a, b], strikeAt('kill', at, ''));
        const step = killedBefore(ended);
        // Whoever comes next is not held up by what is left of a dead one.
        expectWell(await spool([c]));
        expectWell(await drain());
        const names = await source.arrived();
        expect(step === undefined ? ['a,b,c'] : ['a,b,c', 'c'], step).toContain(names.join());
        return step;
      },
      long ? 1 : 2,
    );
    expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(2);
  });

  it('of draining: everything arrives in order, and what was in hand comes twice at most', async () => {
    const names = numbered(700);
    expectWell(await spool(await source.files(...names)));
    const aside = join(source.home.directory, 'aside');
    await cp(source.home.state, aside, { recursive: true });
    const steps = await strikeEach(
      async (at) => {
        const step = killedBefore(await drain(strikeAt('kill', at, '')));
        expectWell(await drain());
        const arrived = await source.arrived();
        expectOnceInOrder(arrived, names, step ?? 'none');
        if (step === undefined) expect(arrived).toEqual(names);
        await rm(source.home.state, { recursive: true });
        await cp(aside, source.home.state, { recursive: true });
        return step;
      },
      long ? 1 : 4,
    );
    expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(3);
  });

  /** Posts files, killed at a step, and again; others each time, because what was posted is known. */
  async function postTwice(at: number, count: number, suppressed: string): Promise<string | undefined> {
    const names = numbered(count).map((name) => `${at}-${name}`);
    const paths = await source.files(...names);
    const words = source.posting('--suppress_duplicates', suppressed, ...paths);
    const step = killedBefore(await post(words, strikeAt('kill', at, '')));
    const before = await source.arrived();
    expect(before, step).toEqual(names.slice(0, before.length));
    expectWell(await post(words));
    const after = await source.arrived();
    if (suppressed === 'off') expect(after, step).toEqual(names);
    else expectOnceInOrder([...before, ...after], names, step ?? 'none');
    return step;
  }

  it.each(['off', 'on'])(
    'of posting with suppress_duplicates %s: the same command again announces what was not, in order',
    async (suppressed) => {
      const steps = await strikeEach((at) => postTwice(at, 12, suppressed), long ? 1 : 8);
      expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(2);
    },
  );

  it('of posting more than one window: no more than one window comes twice', async () => {
    for (const first of long ? [50, 75, 100, 125, 150, 175, 200] : [75, 150]) {
      // How many posts go in one packet is chance; so is whether there are so many steps.
      let at = first;
      while ((await postTwice(at, 700, 'on')) === undefined) at = Math.ceil(at / 2) - 1;
      expect(at).toBeGreaterThan(8);
    }
  });
});

describe('several processes', () => {
  it('that drain at once post everything once, in order', async () => {
    const names = numbered(700);
    expectWell(await spool(await source.files(...names)));
    expectWell(...(await Promise.all([drain(), drain(), drain()])));
    expect(await source.arrived()).toEqual(names);
  });

  it('that spool at once neither wait for one another nor lose anything', async () => {
    const pairs = ['a', 'b', 'c', 'd'].map((name) => [`${name}1`, `${name}2`]);
    source.brokerGoes();
    const ends = await Promise.all(
      pairs.map(async (pair) => post(source.posting('--spool', 'on', ...(await source.files(...pair))))),
    );
    source.brokerComes();
    expectWell(...ends);
    expectWell(await drain());
    const names = await source.arrived();
    expect(names.toSorted()).toEqual(pairs.flat());
    for (const [one = '', two = ''] of pairs) expect(names.indexOf(one)).toBeLessThan(names.indexOf(two));
  });
});
