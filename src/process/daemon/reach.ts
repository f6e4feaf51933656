import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError, RetryableError } from '../../errors.js';
import { ask } from '../../store/owner/ask.js';
import { type OwnerInfo, findOwner } from '../../store/owner/owner-file.js';
import type { ConfigurationStatus, InstanceStatus } from './status.js';

/*
 * Speaking with the process that runs a configuration. `status` of hundreds of them goes through here, so this file
 * imports next to nothing.
 */

/** Milliseconds that a living process may take for an easy answer. */
const EASY = 2000;
/** Milliseconds from the request to the last process gone: the grace of the transfers and a second more. */
const STOP_LIMIT = 5500;
/** Milliseconds for which a killed process may be kept from ending: by a disk that does not answer, for one. */
const KILL_LIMIT = 5000;
const LOOK_EVERY = 20;

/** What the process that runs in `state` says; undefined when there is none; `silent` when it does not answer. */
export async function askStatus(state: string): Promise<ConfigurationStatus | 'silent' | undefined> {
  try {
    return (await ask(state, 'status', null, { timeout: EASY }))?.answer as ConfigurationStatus | undefined;
  } catch (thrown) {
    if (thrown instanceof RetryableError) return 'silent';
    throw thrown;
  }
}

/** Id of the living process that runs in `state`; undefined when there is none. Nobody is asked. */
export const ownerOf = async (state: string): Promise<number | undefined> => (await findOwner(state))?.pid;

export type StopResult = 'was not running' | 'stopped' | 'killed' | 'silent';

/**
 * Ends the process that runs in `state`, and with it its instances: politely, then by signal, in the end by force.
 * `silent` is one that outlives even that, because the system does not let it end. Instances whose supervisor is gone acknowledge nothing any more and end by themselves.
 */
export async function stopOwner(state: string): Promise<StopResult> {
  const owner = await findOwner(state);
  if (owner === undefined) return 'was not running';
  if (owner.shared === true) return stopShared(state, owner);
  const began = Date.now();
  const isPolite = await ask(state, 'stop', null, { timeout: EASY }).then(
    () => true,
    () => false,
  );
  // Identified by process id and start time, so nobody else is meant.
  if (!isPolite && (await findOwner(state))?.pid === owner.pid) signal(owner.pid, 'SIGTERM');
  while (Date.now() - began < STOP_LIMIT) {
    if ((await findOwner(state))?.pid !== owner.pid) {
      await untilGone(owner.pid, began + STOP_LIMIT);
      return 'stopped';
    }
    await sleep(LOOK_EVERY);
  }
  signal(owner.pid, 'SIGKILL');
  const deadline = Date.now() + KILL_LIMIT;
  while (Date.now() < deadline) {
    if ((await findOwner(state))?.pid !== owner.pid) return 'killed';
    await sleep(LOOK_EVERY);
  }
  return 'silent';
}

/** One of several in a process: whatever becomes of it, the others go on, so nothing but asking will do. */
async function stopShared(state: string, owner: OwnerInfo): Promise<StopResult> {
  const deadline = Date.now() + STOP_LIMIT;
  const isTheSame = (other: OwnerInfo | undefined): boolean => other?.token === owner.token;
  try {
    await ask(state, 'stop', null, { timeout: EASY });
  } catch (thrown) {
    if (!(thrown instanceof RetryableError) && !(thrown instanceof FatalError)) throw thrown;
  }
  while (Date.now() < deadline) {
    if (!isTheSame(await findOwner(state))) return 'stopped';
    await sleep(LOOK_EVERY);
  }
  return 'silent';
}

/** It has let go of its state; that it is gone altogether takes a moment more. */
async function untilGone(pid: number, deadline: number): Promise<void> {
  while (signal(pid, 0) && Date.now() < deadline) await sleep(LOOK_EVERY);
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw thrown;
  }
}

/** Has a supervisor read its configuration again; undefined when none runs. Each instance takes seconds. */
export async function askReload(
  state: string,
  instances: number,
): Promise<{ reloaded: boolean; reason?: string } | undefined> {
  const asked = await ask(state, 'reload', null, { timeout: 10_000 + 10_000 * instances });
  return asked?.answer as { reloaded: boolean; reason?: string } | undefined;
}

/** Has a supervisor start the instances that had given up; undefined when none runs. */
export async function askStart(state: string): Promise<readonly InstanceStatus[] | undefined> {
  const asked = await ask(state, 'start', null, { timeout: 30_000 });
  return (asked?.answer as { instances: readonly InstanceStatus[] } | undefined)?.instances;
}
