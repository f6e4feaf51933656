/** Runs the programs of this package as one of the pump's users, each as a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { guardAgainstDeath } from './guard.js';
import type { PumpUser } from './pump.js';

export interface ProgramEnd {
  /** Exit code; 1 for a program that was ended by a signal. */
  readonly code: number;
  /** The last lines of its log (standard error). */
  readonly complaints: readonly string[];
  readonly seconds: number;
}

export interface ProgramOptions {
  /** Each line of standard output. */
  readonly onLine?: (line: string) => void;
  /** Ends the program: politely, and after five seconds by force. */
  readonly signal?: AbortSignal;
}

const keptComplaints = 15;

/** The directory of this package, from wherever its compiled files lie below it. */
function packageDirectory(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory)
    directory = dirname(directory);
  return directory;
}

/** Path of the launcher of a program, such as `sr_post`. */
export const programPath = (program: string): string => join(packageDirectory(), 'bin', `${program}.js`);

/** Where the programs of a user find configuration and state; the site-wide configuration is not asked. */
export const homeVariables = (home: string): Readonly<Record<string, string>> => ({
  XDG_CONFIG_HOME: join(home, 'config'),
  XDG_CACHE_HOME: join(home, 'cache'),
  XDG_CONFIG_DIRS: join(home, 'no-site'),
});

function environment(user: PumpUser): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('SR_'));
  return { ...Object.fromEntries(ours), ...homeVariables(user.home) };
}

/**
 * Stops all that `sr` keeps for a user, and removes a directory that is not to stay, when this process dies without
 * having done so.
 */
export function stopAtDeath(user: PumpUser, remove: string | undefined): { readonly end: () => void } {
  const shell = guardAgainstDeath({
    name: 'pump-guard',
    // The broker is ended by a guard of its own, which may still be at it.
    script: '"$1" "$2" stop; test -z "$3" || { sleep 1; rm -rf -- "$3"; }',
    words: [process.execPath, programPath('sr'), remove ?? ''],
    environment: environment(user),
  });
  return { end: () => shell.kill('SIGKILL') };
}

async function eachLine(stream: Readable, take: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) take(line);
}

/** Runs a program to its end. A program that cannot be run at all ends with code 1 and says why. */
export async function runProgram(
  user: PumpUser,
  program: string,
  words: readonly string[],
  { onLine = () => undefined, signal }: ProgramOptions = {},
): Promise<ProgramEnd> {
  const started = performance.now();
  const complaints: string[] = [];
  const complain = (line: string): void => {
    complaints.push(line);
    if (complaints.length > keptComplaints) complaints.shift();
  };
  const child = spawn(process.execPath, [programPath(program), ...words], {
    env: environment(user),
    cwd: user.home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let force: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill('SIGTERM');
    force = setTimeout(() => child.kill('SIGKILL'), 5000);
  };
  if (signal?.aborted === true) end();
  signal?.addEventListener('abort', end, { once: true });
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      complain(error.message);
      resolve(1);
    });
    child.once('exit', (code) => {
      resolve(code ?? 1);
    });
  });
  try {
    const [code] = await Promise.all([
      ended,
      eachLine(child.stdout, onLine),
      eachLine(child.stderr, complain),
    ]);
    return { code, complaints, seconds: (performance.now() - started) / 1000 };
  } finally {
    clearTimeout(force);
    signal?.removeEventListener('abort', end);
  }
}
