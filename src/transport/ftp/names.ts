import { RetryableError } from '../../errors.js';
import type { RemoteEntry } from '../transport.js';
import { entryOf, sizeOf, timeOf } from './facts.js';
import { replyError } from './failure.js';
import { commandPath, parentOf } from './path.js';
import { isDone, isHalfway, isUnknown, type Reply } from './reply.js';
import type { Place, Task } from './task.js';

/** What stands under a name; undefined for nothing. */
export async function lookAt(task: Task, path: string): Promise<RemoteEntry | undefined> {
  const name = commandPath(path);
  if (task.dialogue.features.has('MLST')) {
    const reply = await task.ask(`MLST ${name}`);
    if (isDone(reply)) return entryOf(reply);
    if (!isUnknown(reply)) return nothingOr(reply, task, 'MLST');
  }
  const size = await task.ask(`SIZE ${name}`);
  if (size.code === 213) {
    const time = await task.ask(`MDTM ${name}`);
    const modified = time.code === 213 ? timeOf(time.message.slice(4).trim()) : undefined;
    return { kind: 'file', size: sizeOf(size), mode: undefined, modified };
  }
  if (await isDirectory(task, name))
    return { kind: 'directory', size: undefined, mode: undefined, modified: undefined };
  // Servers that count no text have files all the same.
  if (isUnknown(size) || /ascii/iu.test(size.message)) {
    const time = await task.ask(`MDTM ${name}`);
    const modified = time.code === 213 ? timeOf(time.message.slice(4).trim()) : undefined;
    return modified === undefined ? undefined : { kind: 'file', size: undefined, mode: undefined, modified };
  }
  return nothingOr(size, task, 'SIZE');
}

function nothingOr(reply: Reply, { dialogue, tried }: Task, step: string): undefined {
  const isNothing = reply.code === 550 && !/permission denied|access denied/iu.test(reply.message);
  if (!isNothing) throw replyError(reply, tried, step, dialogue.account);
  return undefined;
}

/** Where nothing else tells: a directory is what one can go into. */
async function isDirectory(task: Task, name: string): Promise<boolean> {
  const [, home] = /^257 "(.*)"/su.exec((await task.ask('PWD')).message) ?? [];
  if (home === undefined) return false;
  if (!isDone(await task.ask(`CWD ${name}`))) return false;
  const back = await task.ask(`CWD ${home.replaceAll('""', '"')}`);
  if (isDone(back)) return true;
  // Every relative name would mean something else now.
  task.dialogue.close();
  throw replyError(back, task.tried, 'CWD', task.dialogue.account);
}

/** Makes a directory and those above it. */
export async function makeDirectory(
  task: Task,
  path: string,
  mode: number | undefined,
  place: Place,
): Promise<void> {
  const name = commandPath(path.replace(/\/+$/u, '') || '/');
  const made = await task.ask(`MKD ${name}`);
  if (isDone(made)) {
    if (mode !== undefined) await setMode(task, path, mode, place);
    return;
  }
  if (await isThere(task, path)) return;
  const parent = parentOf(path);
  if (parent !== undefined) {
    await makeDirectory(task, parent, mode, place);
    const again = await task.ask(`MKD ${name}`);
    if (isDone(again)) {
      if (mode !== undefined) await setMode(task, path, mode, place);
      return;
    }
    // Somebody else was faster.
    if (await isThere(task, path)) return;
    throw replyError(again, task.tried, 'MKD', task.dialogue.account);
  }
  throw replyError(made, task.tried, 'MKD', task.dialogue.account);
}

async function isThere(task: Task, path: string): Promise<boolean> {
  const entry = await lookAt(task, path);
  if (entry === undefined || entry.kind === 'directory' || entry.kind === 'link') return entry !== undefined;
  throw new RetryableError(`cannot ${task.tried}: a file has that name`);
}

/** Sets permission bits, where the server can: without them the file is as good as with those that it has. */
export async function setMode(task: Task, path: string, mode: number, place: Place): Promise<void> {
  const reply = await task.ask(`SITE CHMOD ${mode.toString(8).padStart(3, '0')} ${commandPath(path)}`);
  if (isDone(reply) && !isUnknown(reply)) return;
  if (isUnknown(reply) || reply.code === 550) {
    place.warnOnce(
      'the server sets no permissions (SITE CHMOD): files and directories keep those that it gives',
    );
  } else throw replyError(reply, task.tried, 'SITE CHMOD', task.dialogue.account);
}

/** Gives a file another name, in place of what stands there: in one step where the server does. */
export async function renameOver(task: Task, from: string, to: string): Promise<void> {
  const first = await renameOnce(task, from, to);
  if (isDone(first)) return;
  const removed = await task.ask(`DELE ${commandPath(to)}`);
  const second = isDone(removed) ? await renameOnce(task, from, to) : first;
  if (!isDone(second)) throw replyError(second, task.tried, 'RNTO', task.dialogue.account);
}

async function renameOnce(task: Task, from: string, to: string): Promise<Reply> {
  const begun = await task.ask(`RNFR ${commandPath(from)}`);
  if (!isHalfway(begun)) throw replyError(begun, task.tried, 'RNFR', task.dialogue.account);
  return task.ask(`RNTO ${commandPath(to)}`);
}

/** Removes a file or an empty directory; one that is not there is no error. */
export async function removeName(task: Task, path: string): Promise<void> {
  const name = commandPath(path);
  const removed = await task.ask(`DELE ${name}`);
  if (isDone(removed)) return;
  const entry = await lookAt(task, path);
  if (entry === undefined) return;
  if (entry.kind !== 'directory') throw replyError(removed, task.tried, 'DELE', task.dialogue.account);
  await task.must(`RMD ${name}`);
}
