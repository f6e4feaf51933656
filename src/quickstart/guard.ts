import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';

export interface GuardOptions {
  /** Name of the shell, for people who look at the processes. */
  readonly name: string;
  /** What to do when we are dead; its words are `$1`, `$2`, ... */
  readonly script: string;
  readonly words: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * A shell that waits for the end of its input, that is for our death, however it comes, and then tidies up after us: what
 * runs at our exit cannot run when we are killed. Whoever has tidied up kills the shell.
 */
export function guardAgainstDeath({ name, script, words, environment }: GuardOptions): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', `cat >/dev/null; ${script}`, name, ...words], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    ...(environment !== undefined && { env: environment }),
  });
  shell.on('error', () => undefined);
  shell.stdin?.on('error', () => undefined);
  shell.unref();
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return shell;
}
