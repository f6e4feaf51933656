import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../servers/rabbitmq.js';
import { makeStation, type Station } from '../servers/station.js';
import { strikeAt, strikeEach, struckStep } from './strike.js';

/*
 * The retry list, with the process killed before each of its steps: on the way into the list (between the failure and
 * the acknowledgement), and on the way out of it (between taking an entry and forgetting it). Nothing may be lost at any
 * of them, and no message may stand in the list twice.
 */

const long = process.env['SR_LONG'] !== undefined;
/** Every third step, unless there is time. */
const stride = long ? 1 : 3;
/** Milliseconds. */
const stations: Station[] = [];

afterEach(async () => {
  for (const station of stations.splice(0)) await station.end();
});

async function stationOf(): Promise<Station> {
  const station = await makeStation({ lines: ['report_dialect report', 'attempts 1'] });
  stations.push(station);
  return station;
}

/** Announces a file that the server refuses until it is told to answer. */
async function announceFailing(station: Station, path: string): Promise<() => void> {
  const content = `content of ${path}`;
  let isWell = false;
  station.serve(path, () => (isWell ? Buffer.from(content) : { status: 500 }));
  await station.announce(path, { content });
  return () => {
    isWell = true;
  };
}

const retry = async (station: Station, ...words: readonly string[]): Promise<{ waiting: number }> => {
  const { code, stdout, stderr } = await station.home.run('sr_subscribe', ['retry', ...words, '--json']);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as { waiting: number };
};

const waiting = async (station: Station): Promise<number> => (await retry(station, 'list', 'flow')).waiting;

/** The file is there, whole and alone, and one record says so; what is repeated is marked. */
async function expectArrived(station: Station, path: string, about: string): Promise<void> {
  expect(await station.at(path), about).toBe(`content of ${path}`);
  const records = station.records.records().filter((record) => record.path === `/${path}`);
  expect([1, 2], `${about}: ${JSON.stringify(records)}`).toContain(records.length);
  for (const [index, { code, message }] of records.entries()) {
    expect(code, about).toBe(201);
    if (index > 0) expect(message, about).toMatch(/redelivered/u);
  }
}

describe('two files that failed, the process killed before each step of trying them again', () => {
  it('are recovered, both, at every step', async () => {
    const station = await stationOf();
    const steps = await strikeEach(async (at) => {
      const directory = `again-${at}`;
      const paths = [`${directory}/one`, `${directory}/two`];
      const mend = await Promise.all(paths.map((path) => announceFailing(station, path)));
      await station.once();
      for (const mendOne of mend) mendOne();
      expect(await retry(station, 'requeue', 'flow', '--all')).toMatchObject({ waiting: 2, matched: 2 });
      const first = await station.once([], { env: strikeAt('kill', at, directory) });
      const step = struckStep(first);
      if (step !== undefined) {
        expect(first.signal).toBe('SIGKILL');
        const second = await station.once();
        expect(second.code, second.stderr).toBe(0);
      }
      for (const path of paths) await expectArrived(station, path, `struck before ${step ?? 'none'}`);
      return step;
    }, stride);
    expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(3);
    expect(await waiting(station)).toBe(0);
    await station.drained();
    expect((await station.files()).filter((path) => !/\/(?:one|two)$/u.test(path))).toEqual([]);
  });
});

describe('a file that fails, the process killed before each step of keeping it', () => {
  it('waits in the queue or in the list, and once at most in the list', async () => {
    const station = await stationOf();
    const found = new Set<string>();
    const steps = await strikeEach(async (at) => {
      const path = `kept-${at}/file`;
      const mend = await announceFailing(station, path);
      const step = struckStep(await station.once([], { env: strikeAt('kill', at, path) }));
      const about = `struck before ${step ?? 'none'}`;
      const listed = await waiting(station);
      expect([0, 1], about).toContain(listed);
      // What was not acknowledged is given back when the broker has seen the connection end.
      let queued = 0;
      await eventually(`it waits somewhere, ${about}`, async () => {
        queued = await station.host.depth(station.queue);
        return queued + listed >= 1;
      });
      found.add(`${queued} in the queue, ${listed} in the list`);
      if (queued === 0) await retry(station, 'requeue', 'flow', '--all');
      mend();
      const last = await station.once();
      expect(last.code, last.stderr).toBe(0);
      await expectArrived(station, path, about);
      expect(await waiting(station), about).toBe(0);
      return step;
    }, stride);
    expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(2);
    expect([...found].sort(), steps.join('\n')).toContain('0 in the queue, 1 in the list');
    await station.drained();
  });
});
