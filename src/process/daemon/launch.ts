import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { FatalError, messageOf } from '../../errors.js';
import type { Order } from '../places/order.js';
import type { InstanceStatus } from './status.js';

/*
 * Starting daemons. A supervisor is a process of a session of its own, so that the end of a terminal is not its
 * end; its instances are its children. What they are to do travels over their channels, because an order may hold
 * a password and everybody can read the words of a command line. The words only tell people who they are.
 */

/** What the parent tells a daemon first, as JSON. */
export interface Commission {
  readonly order: Order;
  /** 0 for the supervisor, from 1 for its instances. */
  readonly number: number;
}

/** What a supervisor tells the command that started it, once. */
export type LaunchResult =
  | { readonly kind: 'ready'; readonly instances: readonly InstanceStatus[] }
  | { readonly kind: 'failed'; readonly text: string; readonly exitCode: 1 | 2 };

export interface Launch extends Commission {
  /** The compiled file that runs daemons. */
  readonly entry: string;
  /** File that takes what a crashing process says. */
  readonly log: string;
  readonly logMode: number;
  /** A session of its own. */
  readonly detached: boolean;
}

/** Milliseconds until a supervisor must have said how it went; recovering a large state takes its time. */
const PATIENCE = 60_000;

/** Starts a daemon process and hands it its commission. */
export function launchDaemon({ order, number, ...launch }: Launch): ChildProcess {
  const words = [order.program, order.configuration ?? '', number === 0 ? 'supervisor' : String(number)];
  const commission: Commission = { order, number };
  return launchProcess({ ...launch, words, commission });
}

/** Any process of ours: the words are for people, what it is to do is in the commission. */
export interface ProcessLaunch extends Pick<Launch, 'entry' | 'log' | 'logMode' | 'detached'> {
  readonly words: readonly string[];
  readonly commission: object;
}

export function launchProcess(launch: ProcessLaunch): ChildProcess {
  const { entry, words, log, logMode, detached, commission } = launch;
  const output = openOutput(log, logMode);
  try {
    const child = spawn(process.execPath, [entry, ...words], {
      detached,
      stdio: ['ignore', output, output, 'ipc'],
    });
    // A process that could not be started, or is gone already, tells so itself.
    child.send(commission, () => undefined);
    return child;
  } finally {
    closeSync(output);
  }
}

function openOutput(log: string, mode: number): number {
  try {
    mkdirSync(dirname(log), { recursive: true });
    return openSync(log, 'a', mode);
  } catch (cause) {
    throw new FatalError(`cannot write the log file ${log}: make its directory writable`, { cause });
  }
}

/**
 * Starts a supervisor and waits until it is ready, or has failed: then throws FatalError with the reason. It goes
 * on by itself afterwards, whatever becomes of this process.
 */
export async function launchSupervisor(
  launch: Omit<Launch, 'number' | 'detached'>,
): Promise<readonly InstanceStatus[]> {
  const child = launchDaemon({ ...launch, number: 0, detached: true });
  const result = await resultOf(child, launch.log);
  if (child.connected) child.disconnect();
  child.unref();
  if (result.kind === 'failed') throw new FatalError(result.text, { exitCode: result.exitCode });
  return result.instances;
}

function resultOf(child: ChildProcess, log: string): Promise<LaunchResult> {
  return new Promise((resolve) => {
    const fail = (text: string): void =>
      resolve({ kind: 'failed', text: `${text}; see ${log}`, exitCode: 1 });
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`it was not ready within ${PATIENCE / 1000} s and was ended`);
    }, PATIENCE);
    child.once('message', (message) => {
      clearTimeout(late);
      resolve(message as LaunchResult);
    });
    child.once('error', (cause) => {
      clearTimeout(late);
      fail(`it cannot be started: ${messageOf(cause)}`);
    });
    child.once('exit', (status, signal) => {
      clearTimeout(late);
      fail(`it ended at once with ${signal ?? `exit status ${status ?? 1}`}`);
    });
  });
}
