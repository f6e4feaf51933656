import { posix } from 'node:path';
import type { Located } from '../../flow/item.js';
import { fileSize } from '../../message/parts.js';
import { isSameFileTime, parseFileTime } from '../../message/pub-time.js';
import type { RemoteEntry } from '../../transport/transport.js';
import type { Attempt } from './send.js';

/**
 * The new half of a rename: true when the server has the file under its new name, because the other half has moved it, or
 * because it could be moved now. Only a file of the announced size and time is taken for the announced one.
 */
export async function isMovedThere(item: Located, attempt: Attempt): Promise<boolean> {
  const { counterpart, target, subject, isCopy } = item;
  const { session, directories, stop } = attempt;
  const { rename, look } = session;
  if (subject.moved?.from === undefined || counterpart === undefined || isCopy === true) return false;
  if (rename === undefined || look === undefined) return false;
  if (isAnnounced(item, await look(target.path, stop))) return true;
  if (!isAnnounced(item, await look(counterpart.path, stop))) return false;
  await directories.ensure(session, posix.dirname(target.path), stop);
  await rename(counterpart.path, target.path, stop);
  return true;
}

function isAnnounced({ subject }: Located, there: RemoteEntry | undefined): boolean {
  const { change, headers } = subject;
  if (change.kind !== 'write' || change.parts === undefined || there?.kind !== 'file') return false;
  const announced = parseFileTime(headers.get('mtime') ?? '');
  if (announced === undefined || there.modified === undefined) return false;
  return isSameFileTime(announced, there.modified.getTime()) && there.size === fileSize(change.parts);
}

/**
 * The old half of a rename: true when what the server has under the old name now has the new one, where nothing was. An
 * announcement that may have been late moves nothing: what it would make may have been removed since.
 */
export async function hasMovedAway(item: Located, attempt: Attempt): Promise<boolean> {
  const { counterpart, target, subject, repeated } = item;
  const { session, directories, stop } = attempt;
  const { rename, look } = session;
  if (subject.moved?.to === undefined || counterpart === undefined || repeated) return false;
  if (rename === undefined || look === undefined || counterpart.path.startsWith(`${target.path}/`))
    return false;
  if ((await look(target.path, stop)) === undefined || (await look(counterpart.path, stop)) !== undefined)
    return false;
  await directories.ensure(session, posix.dirname(counterpart.path), stop);
  await rename(target.path, counterpart.path, stop);
  directories.forget(target.path);
  return true;
}
