/**
 * Runs the programs of this package as their users do: as processes of their own, with their own configuration, state
 * and credentials. Tests wait for what a program prints or for its end, never for time to pass.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PATIENCE, type TestHost, type TestUser } from './rabbitmq.js';

/** How a program ended, and all it wrote. */
export interface Ended {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program at work. */
export interface Running {
  readonly pid: number;
  /** Everything on standard output, and on standard error, so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The first line on either stream that matches, also one that is there already; fails when patience is at its end. */
  readonly line: (pattern: RegExp) => Promise<string>;
  readonly ended: Promise<Ended>;
  /** Asks it to end (SIGTERM), and waits until it has. */
  readonly stop: () => Promise<Ended>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; nothing unless given. */
  readonly input?: string;
  /** Milliseconds it may take; two minutes unless given. */
  readonly deadline?: number;
  /** A program with its words, such as a tracer, that runs ours. */
  readonly under?: readonly string[];
}

/** The home of one user of the programs. */
export interface Home {
  readonly directory: string;
  /** Where configurations are: `sarra` below XDG_CONFIG_HOME. */
  readonly configuration: string;
  /** Where state is: `sarra` below XDG_CACHE_HOME. */
  readonly state: string;
  /** Writes `COMPONENT/NAME.conf`, and returns its path. */
  readonly configure: (component: string, name: string, lines: readonly string[]) => Promise<string>;
  /** Writes an executable (mode 0755), or another file with another mode, into `plugins/`; returns its path. */
  readonly plugin: (name: string, text: string, mode?: number) => Promise<string>;
  readonly start: (program: string, words: readonly string[], options?: RunOptions) => Running;
  /** Runs a program to its end. */
  readonly run: (program: string, words: readonly string[], options?: RunOptions) => Promise<Ended>;
  /** Ends what is still running, and removes everything. */
  readonly remove: () => Promise<void>;
}

/** Those of this checkout, unless others, such as an installed package, are to be tested. */
const bin = process.env['SARRA_TEST_BIN'] ?? join(import.meta.dirname, '../../bin');
const RUN_DEADLINE = 120_000;

/** Whether there is a process of this id; also one that has died and of which its parent has not taken notice. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** `amqp://user@127.0.0.1:port/vhost`, as a configuration has it: the password is in credentials.conf. */
export function brokerOf(host: TestHost, user: TestUser): string {
  const url = new URL(host.url(user));
  url.password = '';
  return url.href;
}

/** A home that knows the passwords of these users. */
export async function makeHome(host: TestHost, users: readonly TestUser[]): Promise<Home> {
  const directory = await mkdtemp(join(tmpdir(), 'sarra-home-'));
  const configuration = join(directory, 'config', 'sarra');
  const state = join(directory, 'cache', 'sarra');
  await mkdir(configuration, { recursive: true, mode: 0o700 });
  await mkdir(join(directory, 'cache'), { mode: 0o700 });
  const credentials = users.map((user) => `${host.url(user)}\n`).join('');
  await writeFile(join(configuration, 'credentials.conf'), credentials, { mode: 0o600 });
  const alive = new Set<Running>();

  const start = (program: string, words: readonly string[], options: RunOptions = {}): Running => {
    const running = launch(join(bin, `${program}.js`), words, {
      cwd: options.cwd ?? directory,
      env: environment(directory, options.env),
      input: options.input,
      under: options.under ?? [],
    });
    alive.add(running);
    void running.ended.then(() => alive.delete(running));
    return running;
  };

  return {
    directory,
    configuration,
    state,
    configure: async (component, name, lines) => {
      const file = join(configuration, component, `${name}.conf`);
      await put(file, `${lines.join('\n')}\n`, 0o600);
      return file;
    },
    plugin: async (name, text, mode = 0o755) => {
      const file = join(configuration, 'plugins', name);
      await put(file, text, mode);
      return file;
    },
    start,
    run: (program, words, options = {}) => toItsEnd(start(program, words, options), program, options),
    remove: async () => {
      await Promise.all(
        [...alive].map(async (running) => {
          running.kill('SIGKILL');
          await running.ended;
        }),
      );
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function put(file: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, text, { mode });
  // The umask may have taken something away.
  await chmod(file, mode);
}

function environment(directory: string, more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    HOME: directory,
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_CACHE_HOME: join(directory, 'cache'),
    XDG_CONFIG_DIRS: join(directory, 'no-site'),
    ...more,
  };
}

/** A program that does not end in time is killed, and the test fails with what it wrote. */
async function toItsEnd(running: Running, program: string, options: RunOptions): Promise<Ended> {
  const deadline = options.deadline ?? RUN_DEADLINE;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    running.kill('SIGKILL');
  }, deadline);
  const ended = await running.ended;
  clearTimeout(timer);
  if (late) throw new Error(`${program} did not end within ${deadline} ms\n${ended.stdout}\n${ended.stderr}`);
  return ended;
}

interface Waiting {
  readonly pattern: RegExp;
  readonly found: (line: string) => void;
}

interface Launch {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly input: string | undefined;
  readonly under: readonly string[];
}

function launch(launcher: string, words: readonly string[], { cwd, env, input, under }: Launch): Running {
  const [program = process.execPath, ...prefixed] = [...under, process.execPath, launcher, ...words];
  const child = spawn(program, prefixed, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input ?? '');
  const texts = { stdout: '', stderr: '' };
  const waiting = new Set<Waiting>();
  const lines: string[] = [];
  const collect = (name: 'stdout' | 'stderr'): void => {
    let rest = '';
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) {
        lines.push(line);
        for (const waiter of waiting) if (waiter.pattern.test(line)) waiter.found(line);
      }
    });
  };
  collect('stdout');
  collect('stderr');
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...texts }));
  });
  const all = (): string => `--- standard output\n${texts.stdout}\n--- standard error\n${texts.stderr}`;
  return {
    pid: child.pid ?? -1,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    line: async (pattern) => {
      const there = lines.find((line) => pattern.test(line));
      if (there !== undefined) return there;
      let timer: NodeJS.Timeout | undefined;
      let waiter: Waiting | undefined;
      try {
        return await Promise.race([
          new Promise<string>((found) => waiting.add((waiter = { pattern, found }))),
          ended.then(({ code, signal }) => {
            throw new Error(`Ended (${code ?? signal}) without a line ${pattern}\n${all()}`);
          }),
          new Promise<never>((_resolve, reject) => {
            timer = setTimeout(
              () => reject(new Error(`No line ${pattern} within ${PATIENCE} ms\n${all()}`)),
              PATIENCE,
            );
          }),
        ]);
      } finally {
        clearTimeout(timer);
        if (waiter !== undefined) waiting.delete(waiter);
      }
    },
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      return ended;
    },
    kill: (signal) => {
      child.kill(signal);
    },
  };
}
