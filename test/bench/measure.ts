/** What a command costs: time, processor time of it and all it started, and the most memory they held together. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';

export interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  /** Processor time of the broker, of the web server, and of everybody else meanwhile. */
  readonly brokerSeconds: number;
  readonly webSeconds: number;
  readonly otherSeconds: number;
}

/** The servers whose processor time is watched. */
export interface Watched {
  readonly broker: number | undefined;
  readonly web: number | undefined;
}

export interface Command {
  readonly program: string;
  readonly words: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds it may take; ten minutes unless given. */
  readonly deadline?: number;
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

const ticksOf = (pid: number): number => {
  const stat = readOrNothing(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
};

/** Processor time so far of a process and of those below it, in seconds. */
export const cpuSecondsOf = (pid: number | undefined): number =>
  pid === undefined
    ? 0
    : ticksOf(pid) / ticksPerSecond + childrenOf(pid).reduce((sum, child) => sum + cpuSecondsOf(child), 0);

/** Processor time so far of the whole machine, in seconds. */
function machineSeconds(): number {
  const line = readOrNothing('/proc/stat').split('\n')[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, soft = 0] = line
    .split(/ +/u)
    .slice(1)
    .map(Number);
  return (user + nice + system + interrupts + soft) / ticksPerSecond;
}

const ownSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const clocks = ({ broker, web }: Watched) => ({
  broker: cpuSecondsOf(broker),
  web: cpuSecondsOf(web),
  machine: machineSeconds(),
  own: ownSeconds(),
});

/** What the programs under measurement find: nothing that changes how Node starts or where requests go. */
export const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:SR_|NODE_|.*_proxy$)/iu.test(name)),
  );

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
export async function measure(
  { program, words, cwd, env, log, deadline = 600 }: Command,
  watched: Watched = { broker: undefined, web: undefined },
): Promise<Cost> {
  const output = openSync(log, 'w');
  const before = clocks(watched);
  const started = performance.now();
  const child = spawn('/bin/sh', ['-c', script, 'measure', program, ...words], {
    stdio: ['ignore', output, output, 'pipe'],
    // A group of its own, which can be ended as a whole.
    detached: true,
    env: { ...environment(), ...env },
    ...(cwd !== undefined && { cwd }),
  });
  closeSync(output);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  const late = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, deadline * 1000);
  let peakBytes = 0;
  const look = setInterval(() => {
    if (child.pid !== undefined) peakBytes = Math.max(peakBytes, memoryBelow(child.pid));
  }, 25);
  try {
    const [code, stat] = await Promise.all([ended, text(child.stdio[3] as Readable)]);
    const seconds = (performance.now() - started) / 1000;
    if (code !== 0) {
      const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
      throw new Error(`${program} ${words.join(' ')} ended with code ${String(code)}:\n${tail}`);
    }
    // Fields 16 and 17; what precedes the closing bracket may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const cpuSeconds = (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
    const after = clocks(watched);
    const brokerSeconds = after.broker - before.broker;
    const webSeconds = after.web - before.web;
    const known = cpuSeconds + brokerSeconds + webSeconds + after.own - before.own;
    const otherSeconds = Math.max(0, after.machine - before.machine - known);
    return { seconds, cpuSeconds, peakBytes, brokerSeconds, webSeconds, otherSeconds };
  } finally {
    clearInterval(look);
    clearTimeout(late);
  }
}
