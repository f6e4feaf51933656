/** What a command costs: time, processor time of it and all it started, and the most memory they held together. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';

export interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

export interface Command {
  readonly program: string;
  readonly words: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Output and complaints go there. */
  readonly log: string;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** The kernel adds up the processor time of children that were waited for; the shell hands us its sum. */
const script = '"$@"; code=$?; read -r line </proc/$$/stat; echo "$line" >&3; exit $code';

const readOrNothing = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // The process has ended in the meantime.
    void error;
    return '';
  }
};

function childrenOf(pid: number): number[] {
  let tasks: string[];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    void error;
    return [];
  }
  const found = tasks.flatMap((task) =>
    readOrNothing(`/proc/${pid}/task/${task}/children`).trim().split(' '),
  );
  return found.filter((word) => word !== '').map(Number);
}

/** Highest memory so far of every process below `pid` that lives now, added up. */
function memoryBelow(pid: number): number {
  let sum = 0;
  for (const child of childrenOf(pid)) {
    const highest = /^VmHWM:\s+(\d+) kB/mu.exec(readOrNothing(`/proc/${child}/status`))?.[1];
    sum += Number(highest ?? 0) * 1024 + memoryBelow(child);
  }
  return sum;
}

/** Runs a command to its end. Throws when it fails, with the end of its log. */
export async function measure({ program, words, cwd, env, log }: Command): Promise<Cost> {
  const output = openSync(log, 'w');
  const started = performance.now();
  const child = spawn('/bin/sh', ['-c', script, 'measure', program, ...words], {
    stdio: ['ignore', output, output, 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  });
  closeSync(output);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  let peakBytes = 0;
  const look = setInterval(() => {
    if (child.pid !== undefined) peakBytes = Math.max(peakBytes, memoryBelow(child.pid));
  }, 20);
  try {
    const [code, stat] = await Promise.all([ended, text(child.stdio[3] as Readable)]);
    const seconds = (performance.now() - started) / 1000;
    if (code !== 0) {
      const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
      throw new Error(`${program} ${words.join(' ')} ended with code ${String(code)}:\n${tail}`);
    }
    // Fields 16 and 17; what precedes the closing bracket may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[13]) + Number(fields[14]);
    return { seconds, cpuSeconds: ticks / ticksPerSecond, peakBytes };
  } finally {
    clearInterval(look);
  }
}
