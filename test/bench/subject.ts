/** The subscriber of a soak: one process in the foreground, looked at from outside, that keeps account of its work. */
import { execFile, spawn } from 'node:child_process';
import { openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { configuration } from './arena.js';
import type { Arena } from './arena.js';
import { environment } from './measure.js';

export interface Subject {
  /** The tree that it fills. */
  readonly target: string;
  readonly isAlive: () => boolean;
  readonly look: () => { readonly rss: number; readonly descriptors: number };
  readonly kill: () => void;
  /** Asks for its balance, ends it, and returns what is wrong with either. */
  readonly end: (posted: number) => Promise<string[]>;
}

interface Balance {
  readonly taken: number;
  readonly done: number;
}

interface Row {
  readonly balance: Balance | null;
  readonly differences?: readonly string[];
}

const READY = 30_000;

export async function startSubject(arena: Arena): Promise<Subject> {
  const { bob } = arena.pump;
  const target = await arena.scratch('target');
  const queue = 'q_bob.soak';
  const options = [`broker ${bob.brokerUrl}`, `queue_name ${queue}`, `directory ${target}`, 'mirror on'];
  const home = await arena.home(bob, [...options, 'heartbeat 10', 'accept .*']);
  await arena.measure(arena.program(home, 'sr_subscribe', ['setup', configuration]));
  const log = join(arena.directory, 'subject.log');
  const { program, words, env, cwd } = arena.program(home, 'sr_subscribe', ['foreground', configuration]);
  const output = openSync(log, 'w');
  const child = spawn(program, [...words], {
    stdio: ['ignore', output, output],
    env: { ...environment(), ...env },
    cwd,
  });
  const { pid } = child;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  const deadline = Date.now() + READY;
  while ((await arena.admin.consumers(queue)) === 0) {
    if (!isAlive() || Date.now() > deadline)
      throw new Error(`the subscriber does not consume:\n${readFileSync(log, 'utf8')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  const askForBalance = async (posted: number): Promise<string[]> => {
    const status = arena.program(home, 'sr_subscribe', ['--json', 'status', configuration]);
    const asked = promisify(execFile)(status.program, [...status.words], {
      env: { ...environment(), ...status.env },
      timeout: READY,
    });
    const [row] = JSON.parse((await asked).stdout) as Row[];
    if (row?.balance == null) return ['status knows no balance'];
    const { taken, done } = row.balance;
    const wrong = taken === posted && done === posted ? [] : [`${taken} taken, ${done} done of ${posted}`];
    return [...wrong, ...(row.differences ?? [])];
  };
  return {
    target,
    isAlive,
    kill: () => void child.kill('SIGKILL'),
    look: () => {
      if (!isAlive()) return { rss: NaN, descriptors: NaN };
      const kib = /^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return { rss: Number(kib) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
    },
    end: async (posted) => {
      if (!isAlive()) return [`the subscriber ended: ${readFileSync(log, 'utf8').slice(-2000)}`];
      const problems = await askForBalance(posted);
      child.kill('SIGTERM');
      await ended;
      if (child.exitCode !== 0) problems.push(`the subscriber ended with code ${String(child.exitCode)}`);
      return problems;
    },
  };
}
