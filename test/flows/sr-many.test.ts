/** `sr` over very many configurations: what it costs to start them, to look at them, and to lose their processes. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';

const COUNT = process.env['SR_LONG'] === undefined ? 30 : 300;
const KILLS = process.env['SR_LONG'] === undefined ? 6 : 20;

let host: TestHost;
let user: TestUser;
let home: Home;

interface Row {
  readonly configuration: string;
  readonly state: string;
  readonly reason: string;
  readonly process: { readonly place: number | 'own'; readonly pid: number };
}

beforeAll(async () => {
  host = await testHost();
  user = await host.user('bob');
  home = await makeHome(host, [user]);
  await host.exchange('xpublic');
  for (let number = 0; number < COUNT; number += 1)
    await home.configure('subscribe', `c${String(number).padStart(3, '0')}`, [
      `broker ${brokerOf(host, user)}`,
      'exchange xpublic',
      `subtopic only.${number}`,
      `directory ${home.directory}/got`,
      'accept .*',
    ]);
});
afterAll(async () => {
  await home.run('sr', ['stop']);
  await home.remove();
  await host.remove();
});

async function rows(): Promise<readonly Row[]> {
  const { stdout } = await home.run('sr', ['status', '--json']);
  return JSON.parse(stdout) as readonly Row[];
}

/** All work, and nobody complains. */
async function allRun(): Promise<boolean> {
  const some = await rows();
  const others = some.filter(({ state, reason }) => state !== 'running' || reason !== '');
  expect([
    some.length,
    others.map(({ configuration, state, reason }) => ({ configuration, state, reason })),
  ]).toEqual([COUNT, []]);
  return true;
}

/** Of the keeper and of those that carry configurations; undefined while nobody knows. */
async function processes(): Promise<{ readonly keeper: number; readonly carriers: readonly number[] }> {
  for (;;) {
    const { stdout } = await home.run('sr', ['dump', '--json']);
    const { keeper } = JSON.parse(stdout) as {
      keeper: { pid: number; carriers: { pid?: number }[] } | 'silent' | null;
    };
    if (keeper === null || keeper === 'silent') continue;
    const carriers = keeper.carriers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    if (carriers.length > 0) return { keeper: keeper.pid, carriers };
  }
}

const sum = (some: readonly number[]): number => some.reduce((total, one) => total + one, 0);

/** Mebibytes. */
async function memoryOf(pid: number, fields: readonly string[]): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const all = [...text.matchAll(/^(\w+):\s+(\d+) kB$/gmu)];
  const wanted = all.filter(([, name = '']) => fields.includes(name));
  return sum(wanted.map(([, , kibibytes]) => Number(kibibytes))) / 1024;
}

describe(`sr with ${COUNT} configurations`, () => {
  it('starts them, tells how they are, brings back what is killed, and stops them', async () => {
    const began = performance.now();
    const started = await home.run('sr', ['start']);
    const startTook = (performance.now() - began) / 1000;
    expect(started).toMatchObject({ code: 0, stdout: `${COUNT} started\n`, stderr: '' });
    await eventually('all run', allRun);
    const before = performance.now();
    const status = await home.run('sr', ['status']);
    const statusTook = (performance.now() - before) / 1000;
    expect(status.code).toBe(0);
    expect(status.stdout).toContain(`${COUNT} configurations: ${COUNT} running`);
    const first = await processes();
    const pids = [first.keeper, ...first.carriers];
    const resident = await Promise.all(pids.map((pid) => memoryOf(pid, ['Rss'])));
    const own = await Promise.all(pids.map((pid) => memoryOf(pid, ['Private_Clean', 'Private_Dirty'])));
    console.info(
      `${COUNT} configurations in ${pids.length} processes: started in ${startTook.toFixed(1)} s, status in ${statusTook.toFixed(2)} s, ` +
        `${(sum(own) / COUNT).toFixed(2)} MiB private (${(sum(resident) / COUNT).toFixed(2)} resident) each`,
    );
    const killing = performance.now();
    const killed = new Set<number>();
    for (let kill = 0; kill < KILLS; kill += 1) {
      const { keeper, carriers } = await processes();
      // Nobody is spared, however few are known at the moment; the keeper is killed when its turn comes.
      const spared = carriers.find((pid) => first.carriers.includes(pid) && !killed.has(pid));
      const victim =
        kill % (first.carriers.length + 1) === 1 ? keeper : (spared ?? carriers[kill % carriers.length]);
      if (victim === undefined) continue;
      killed.add(victim);
      process.kill(victim, 'SIGKILL');
    }
    await eventually('all are back', allRun);
    console.info(`${KILLS} kills survived after ${((performance.now() - killing) / 1000).toFixed(1)} s`);
    const after = await processes();
    expect(after.carriers.length).toBe(first.carriers.length);
    expect(after.carriers.filter((pid) => first.carriers.includes(pid))).toEqual([]);
    await eventually('each has one consumer, and no more', async () => {
      const counts = await host.connections(user);
      return counts.length === COUNT;
    });
    const stopping = performance.now();
    const stopped = await home.run('sr', ['stop']);
    console.info(`stopped in ${((performance.now() - stopping) / 1000).toFixed(1)} s`);
    expect(stopped.code).toBe(0);
    expect((await home.run('sr', ['status'])).code).toBe(3);
  });
});
