import { posix } from 'node:path';
import { PermanentError, messageOf } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { checkLinkText } from '../../file/link.js';
import type { Installed, Joined, Located, Result } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import { attempt as attempts } from '../../transport/attempts.js';
import type { Assemblies } from '../../store/store.js';
import type { Transports } from '../../transport/transport.js';
import { remoteDirectories } from './remote-directories.js';
import { hasMovedAway, isMovedThere } from './remote-move.js';
import { type Attempt, cannot, send } from './send.js';
import { type BlockOptions, sendBlock } from './send-block.js';

export interface PushOptions extends BlockOptions {
  /** Mode of directories that are made. */
  readonly directoryMode: number | undefined;
  /** Links may point anywhere (`allow_links`). */
  readonly allowLinks: boolean;
}

type Gain = Pick<Installed, 'bytes' | 'sum' | 'result' | 'path' | 'complete'> &
  Partial<Pick<Installed, 'next' | 'gathered' | 'endsAssembly'>>;

/** What is to be sent, and which block of which file it is, if it is one. */
type Sendable = Located & Pick<Joined, 'block'>;

/**
 * Makes the announced change on a server: sends the file, removes it, links it, or gives it its new name. Resolves when
 * the server has confirmed it under its final name.
 */
export function push(
  transports: Transports,
  treeAt: (directory: string) => Root,
  assemblies: Assemblies,
  options: PushOptions,
): Stage<Sendable, Gain> {
  const directories = remoteDirectories(options.directoryMode);
  const once = async (item: Sendable, number: number, stop: AbortSignal): Promise<Gain> => {
    const session = await transports.session(options.destination, stop);
    try {
      const root = treeAt(item.local.directory);
      const attempt = { session, directories, root, number, stop };
      const { assembly, block } = item;
      if (assembly === undefined || block === undefined) return await change(item, attempt, options);
      const sent = await sendBlock({ ...item, assembly, block }, attempt, options, assemblies);
      return { ...sent, path: item.local.path };
    } finally {
      await session.close();
    }
  };
  return {
    name: 'push',
    run: (item, stop) => {
      const most = item.retry === undefined ? options.attempts : 1;
      return attempts((number) => once(item, number, stop), { attempts: most, stop });
    },
  };
}

async function change(item: Located, attempt: Attempt, options: PushOptions): Promise<Gain> {
  const { change: wanted } = item.subject;
  const path = item.local.path;
  const done = (result: Result): Gain => ({ bytes: 0, sum: undefined, result, path, complete: true });
  switch (wanted.kind) {
    case 'write':
      if (await isMovedThere(item, attempt)) return { ...done(movedResult), sum: wanted.sum };
      return { ...(await send(item, attempt, options)), path, complete: wanted.parts?.method !== 'p' };
    case 'remove':
      return done(await remove(item, attempt, options));
    case 'link':
      return done(await link(item, wanted.to, attempt, options));
    case 'make-directory': {
      const { session, directories, stop } = attempt;
      if (session.makeDirectory === undefined) throw cannot(options, 'make directories');
      await directories.ensure(session, item.target.path, stop);
      return done({ code: 201, text: 'directory made' });
    }
  }
}

const movedResult: Result = { code: 201, text: 'moved' };

/** Passes in which a directory that is not empty yet may become so: other instances remove what is in it. */
const PATIENT_PASSES = 3;

async function remove(item: Located, attempt: Attempt, options: PushOptions): Promise<Result> {
  const { session, directories, stop } = attempt;
  const { path } = item.target;
  if (session.remove === undefined) throw cannot(options, 'remove files');
  if (await hasMovedAway(item, attempt)) return movedResult;
  directories.forget(path);
  try {
    await session.remove(path, stop);
  } catch (cause) {
    const mayEmpty = (item.retry?.tries ?? 0) < PATIENT_PASSES;
    if (mayEmpty || (await session.look?.(path, stop))?.kind !== 'directory') throw cause;
    throw new PermanentError(500, `remove failed: ${path}: ${messageOf(cause)}`, { cause });
  }
  return { code: 205, text: 'Reset Content : deleted' };
}

async function link(item: Located, to: string, attempt: Attempt, options: PushOptions): Promise<Result> {
  const { session, directories, stop } = attempt;
  const { path, directory } = item.target;
  if (session.link === undefined) throw cannot(options, 'make symbolic links');
  if (!options.allowLinks) checkLinkText(to, directory);
  await directories.ensure(session, posix.dirname(path), stop);
  try {
    await session.link(path, to, stop);
  } catch (thrown) {
    directories.forget(posix.dirname(path));
    throw thrown;
  }
  return { code: 205, text: 'Reset Content : linked' };
}
