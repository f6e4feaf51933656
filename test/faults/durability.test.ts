import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeStation, type Station } from '../servers/station.js';
import { callsIn, traced, type Call } from './trace.js';

/*
 * What was not flushed can only be seen to be lost when the power goes. So the program runs under a system call
 * tracer, and the order of what it asks of the system is held against the promise.
 */

/** In two directories that have to be made. */
const paths = Array.from({ length: 24 }, (_, number) => `new/d${number % 2}/f${number}`);

let station: Station;
let log: string;

beforeEach(async () => {
  station = await makeStation();
  log = join(station.home.directory, 'trace');
});

afterEach(() => station.end());

/** Announces all paths, lets the subscriber fetch them, and returns what it asked of the system. */
async function mirror(lines: readonly string[]): Promise<Call[]> {
  await station.configure(lines);
  await mkdir(station.tree);
  for (const path of paths) await station.announce(path);
  const ended = await station.once([], { under: traced(log) });
  expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
  expect(await station.files()).toEqual([...paths].sort());
  return callsIn(log);
}

const flushesOf = (calls: readonly Call[], path: string) =>
  calls.filter((call) => call.kind === 'flush' && call.path === path);

/** The moment at which the acknowledgement of a message was handed to the system. */
const acknowledged = (calls: readonly Call[], tag: number): number =>
  calls.find((call) => call.kind === 'acknowledge' && (call.tag === tag || (call.multiple && call.tag > tag)))
    ?.from ?? Number.NaN;

describe('with durability power', () => {
  it('data is flushed before its rename, and its directory before the acknowledgement', async () => {
    const calls = await mirror(['durability power']);
    for (const [index, path] of paths.entries()) {
      const final = join(station.tree, path);
      const name = path.slice(path.lastIndexOf('/') + 1);
      const rename = calls.find((call) => call.kind === 'rename' && call.target === name);
      if (rename?.kind !== 'rename') throw new Error(`${path} was not renamed`);
      // The broker gives the messages out in the order they were sent.
      const ack = acknowledged(calls, index + 1);
      const data = flushesOf(calls, join(dirname(final), rename.source));
      expect(
        data.some(({ to }) => to < rename.from),
        `${path} flushed before its rename`,
      ).toBe(true);
      for (let above = dirname(final); above !== dirname(station.tree); above = dirname(above)) {
        const isInTime = flushesOf(calls, above).some(
          ({ from, to }) => to < ack && (above !== dirname(final) || from > rename.to),
        );
        expect(isInTime, `${above} flushed between the rename of ${path} and its acknowledgement`).toBe(true);
      }
    }
  });

  it('the directory of a removal, and that of a link, is flushed before the acknowledgement', async () => {
    await station.configure(['durability power']);
    await station.put('one/gone', 'x');
    await station.remove('one/gone');
    await station.link('other/link', 'elsewhere');
    const ended = await station.once([], { under: traced(log) });
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    const calls = await callsIn(log);
    for (const [index, directory] of ['one', 'other'].entries()) {
      const ack = acknowledged(calls, index + 1);
      const isInTime = flushesOf(calls, join(station.tree, directory)).some(({ to }) => to < ack);
      expect(isInTime, directory).toBe(true);
    }
  });
});

describe('with durability power, a transfer that fails', () => {
  it('is flushed in the retry list before the acknowledgement', async () => {
    await station.configure(['durability power']);
    for (const path of ['late/1', 'late/2']) {
      station.serve(path, { status: 503 });
      await station.announce(path);
    }
    const ended = await station.once([], { under: traced(log) });
    expect([ended.code, ended.stderr]).toEqual([1, expect.stringMatching(/2 taken = .*2 failed/u)]);
    await station.drained();
    const calls = await callsIn(log);
    const store = join(station.home.state, 'subscribe/flow/store');
    for (const [index, path] of ['late/1', 'late/2'].entries()) {
      const ack = acknowledged(calls, index + 1);
      const entry = calls.find((call) => call.kind === 'write' && call.data.includes(` /${path}`));
      if (entry?.kind !== 'write') throw new Error(`${path} was not written down`);
      expect(dirname(entry.path)).toBe(store);
      const isInTime = flushesOf(calls, entry.path).some(({ from, to }) => from > entry.to && to < ack);
      expect(isInTime, `${path} flushed between its writing and the acknowledgement`).toBe(true);
      // All of these directories are new.
      for (let above = store; above !== dirname(station.home.state); above = dirname(above)) {
        const isKnown = flushesOf(calls, dirname(above)).some(({ to }) => to < ack);
        expect(isKnown, `the name of ${above} flushed before the acknowledgement of ${path}`).toBe(true);
      }
    }
  });
});

describe('without it', () => {
  it('nothing of the tree is flushed, and all is acknowledged', async () => {
    const calls = await mirror([]);
    const inTree = calls.filter((call) => call.kind === 'flush' && call.path.startsWith(station.tree));
    expect(inTree).toEqual([]);
    expect(calls.filter(({ kind }) => kind === 'rename').length).toBeGreaterThanOrEqual(paths.length);
    expect(acknowledged(calls, paths.length)).toBeGreaterThan(0);
  });
});
