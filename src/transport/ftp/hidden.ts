import { RetryableError } from '../../errors.js';
import { commandPath } from './path.js';
import { isDone, isUnknown, type Reply } from './reply.js';
import type { Task } from './task.js';

const operatorPause = 5 * 60_000;

/** What a file may be done with where nothing says otherwise. */
const usualMode = 0o644;

export interface Hiding {
  /** The name, its bytes to come. */
  readonly name: string;
  /** Permissions in the end, when they are known. */
  readonly mode: number | undefined;
  /** Moves the bytes. */
  readonly store: () => Promise<number>;
  /** Makes an empty file of the name, or makes the one that is there empty. */
  readonly empty: () => Promise<unknown>;
}

/**
 * Nobody can read the file before it is whole: made with no permissions where the server lets us say so, and else
 * emptied and closed before the first byte. Answers the number of bytes; the permissions are set.
 */
export async function storeHidden(task: Task, { name, mode, store, empty }: Hiding): Promise<number> {
  const path = commandPath(name);
  const before = await task.ask('SITE UMASK');
  const masked = await task.ask('SITE UMASK 777');
  let bytes: number;
  let usual = usualMode;
  if (isDone(masked) && !isUnknown(masked)) {
    const umask = umaskOf(before);
    usual = umask === undefined ? usualMode : 0o666 & ~umask;
    try {
      // One that is there already would keep its permissions.
      await task.ask(`DELE ${path}`);
      bytes = await store();
      const back = await task.ask(`SITE UMASK ${(umask ?? 0o022).toString(8).padStart(3, '0')}`);
      if (!isDone(back)) throw new RetryableError(`cannot ${task.tried}: the server kept the umask`);
    } catch (error) {
      // Nobody could read what others send over this connection.
      task.dialogue.close();
      throw error;
    }
  } else {
    await empty();
    await close(task, path);
    bytes = await store();
  }
  await task.must(`SITE CHMOD ${(mode ?? usual).toString(8).padStart(3, '0')} ${path}`);
  return bytes;
}

async function close(task: Task, path: string): Promise<void> {
  const closed = await task.ask(`SITE CHMOD 200 ${path}`);
  if (isDone(closed) && !isUnknown(closed)) return;
  throw new RetryableError(
    `cannot ${task.tried}: the server knows neither SITE UMASK nor SITE CHMOD: choose another inflight than umask`,
    { notBefore: new Date(Date.now() + operatorPause) },
  );
}

/** The umask of a server's answer to the question for it; undefined when there is none in it. */
function umaskOf(reply: Reply): number | undefined {
  const [, digits] = /\b([0-7]{3,4})\s*\.?\s*$/u.exec(reply.message) ?? [];
  return isDone(reply) && digits !== undefined ? Number.parseInt(digits, 8) : undefined;
}
