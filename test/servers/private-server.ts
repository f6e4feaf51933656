import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';

/** A program of the system; fails with the name of the package when it is not installed. */
export function findProgram(name: string, packageName: string): string {
  const found = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin']
    .map((directory) => `${directory}/${name}`)
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is not installed: apt-get install ${packageName}`);
  return found;
}

/** Resolves when a server takes connections; rejects with its last words when it has ended, or never does. */
export async function untilListening(
  port: number,
  child: ChildProcess,
  complaint: () => Promise<string> | string,
): Promise<void> {
  const name = child.spawnfile;
  for (let left = 400; left > 0; left -= 1) {
    if (child.exitCode !== null) {
      throw new Error(`${name} ended with code ${child.exitCode}: ${await complaint()}`);
    }
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  child.kill('SIGKILL');
  throw new Error(`${name} does not listen on ${port}: ${await complaint()}`);
}

/** Ends a server, and waits until it has ended. */
export async function untilEnded(
  child: ChildProcess,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}
