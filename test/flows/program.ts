/** Runs the programs of this package as their users do: as processes, with directories of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when the text has appeared on either output; rejects when the program ends without it. */
  readonly says: (text: string | RegExp) => Promise<string>;
}

export interface User {
  readonly home: string;
  readonly config: string;
  readonly state: string;
  /** Writes a file below the configuration directory. */
  readonly configure: (path: string, lines: readonly string[]) => Promise<string>;
  readonly start: (program: string, words: readonly string[], options?: RunOptions) => Running;
  readonly run: (program: string, words: readonly string[], options?: RunOptions) => Promise<Ended>;
  readonly remove: () => Promise<void>;
}

export interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export const programPath = (program: string): string =>
  join(import.meta.dirname, '../../bin', `${program}.js`);

/** A user with an empty home. The space is meant: paths with spaces have to work. */
export async function newUser(): Promise<User> {
  const home = await mkdtemp(join(tmpdir(), 'sarra user '));
  const config = join(home, 'config', 'sarra');
  const state = join(home, 'cache', 'sarra');
  const start: User['start'] = (program, words, options = {}) => {
    const child = spawn(process.execPath, [programPath(program), ...words], {
      cwd: options.cwd ?? home,
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        XDG_CONFIG_HOME: join(home, 'config'),
        XDG_CACHE_HOME: join(home, 'cache'),
        XDG_CONFIG_DIRS: join(home, 'no-site'),
        ...options.environment,
      },
    });
    return follow(child, options.input);
  };
  return {
    home,
    config,
    state,
    configure: async (path, lines) => {
      const file = join(config, path);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
      return file;
    },
    start,
    run: (program, words, options) => start(program, words, options).ended,
    remove: () => rm(home, { recursive: true, force: true, maxRetries: 5 }),
  };
}

function follow(child: ChildProcess, input: string | undefined): Running {
  const text = { stdout: '', stderr: '' };
  const waiting = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (piece: string) => {
      text[name] += piece;
      for (const look of waiting) look();
    });
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, ...text }));
  });
  return {
    child,
    ended,
    says: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const all = `${text.stdout}${text.stderr}`;
          const found =
            typeof wanted === 'string' ? (all.includes(wanted) ? wanted : undefined) : wanted.exec(all)?.[0];
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
        void ended.then(({ code }) =>
          reject(
            new Error(`ended with ${code} without saying ${String(wanted)}: ${text.stdout}${text.stderr}`),
          ),
        );
      }),
  };
}
