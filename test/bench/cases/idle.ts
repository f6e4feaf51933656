/** What a configuration costs that has nothing to do, in a process that carries several. */
import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Arena } from '../arena.js';
import { idleConfigurations } from '../goals.js';
import type { Case } from '../compete.js';
import { cpuSecondsOf, environment } from '../measure.js';
import type { Cost } from '../measure.js';

const READY = 60_000;
/** Milliseconds in which a process at rest gives back what its start needed. */
const REST = 5000;

const queueOf = (number: number): string => `q_bob.idle${number}`;

async function configure(arena: Arena, count: number): Promise<{ home: string; names: string[] }> {
  const { bob } = arena.pump;
  const home = await arena.home(bob);
  const directory = join(home, 'config', 'sarra', 'subscribe');
  await mkdir(directory, { recursive: true });
  const names = Array.from({ length: count }, (_, number) => `idle${number}`);
  for (const [number, name] of names.entries()) {
    const lines = [`broker ${bob.brokerUrl}`, `queue_name ${queueOf(number)}`, `directory ${home}/${name}`];
    await writeFile(join(directory, `${name}.conf`), [...lines, 'accept .*', ''].join('\n'));
    await arena.measure(arena.program(home, 'sr_subscribe', ['setup', name]));
  }
  return { home, names };
}

/** Memory of its own, not shared with other processes. */
function privateBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const found = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gmu)];
  return found.reduce((sum, [, kib]) => sum + Number(kib) * 1024, 0);
}

/** The cost of a process that carries so many configurations and rests. */
async function rest(arena: Arena, count: number): Promise<Cost> {
  const { home, names } = await configure(arena, count);
  const { program, words, env, cwd } = arena.program(home, 'sr_subscribe', ['foreground', ...names]);
  const output = openSync(join(arena.directory, 'idle.log'), 'w');
  const child = spawn(program, [...words], {
    stdio: ['ignore', output, output],
    env: { ...environment(), ...env },
    cwd,
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  const started = performance.now();
  const areServed = async (): Promise<boolean> => {
    for (const number of names.keys()) if ((await arena.admin.consumers(queueOf(number))) === 0) return false;
    return true;
  };
  try {
    while (!(await areServed())) {
      if (!isAlive()) throw new Error(`a process with ${count} configurations ended by itself`);
      if (performance.now() - started > READY)
        throw new Error(`${count} configurations are not ready in time`);
      await delay(100);
    }
    const seconds = (performance.now() - started) / 1000;
    await delay(REST);
    const none = { brokerSeconds: 0, webSeconds: 0, otherSeconds: 0 };
    const pid = child.pid ?? 0;
    return { seconds, cpuSeconds: cpuSecondsOf(pid), peakBytes: privateBytes(pid), ...none };
  } finally {
    child.kill('SIGTERM');
    await ended;
    for (const number of names.keys()) await arena.admin.drop(queueOf(number));
    await rm(home, { recursive: true });
  }
}

export const idle: Case = {
  name: 'idle',
  about: `private memory of a process with ${idleConfigurations} idle configurations, beside one with a single one`,
  runs: 2,
  open: async (arena) => ({
    units: idleConfigurations,
    unit: 'configurations',
    contenders: [
      { name: `${idleConfigurations} idle`, run: () => rest(arena, idleConfigurations) },
      { name: '1 idle', run: () => rest(arena, 1) },
    ],
    close: () => Promise.resolve(),
  }),
};
