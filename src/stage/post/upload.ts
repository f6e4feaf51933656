import { posix } from 'node:path';
import { openDigest } from '../../checksum/block-digest.js';
import { PermanentError, RetryableError } from '../../errors.js';
import { readRange } from '../../file/read-range.js';
import type { Described, Ready } from '../../flow/posted.js';
import type { Stage } from '../../flow/stage.js';
import { wholeFile } from '../../message/parts.js';
import { attempt } from '../../transport/attempts.js';
import type { Session, Transports } from '../../transport/transport.js';
import { remoteDirectories, type RemoteDirectories } from '../push/remote-directories.js';
import { namesOf } from '../push/remote-names.js';
import { readyOf } from './cut.js';
import { redescribe } from './describe.js';
import { isUnchanged, openSteady, type Opened } from './steady.js';
import { sumSource } from './sum-source.js';

export interface UploadOptions {
  /** What a session is asked for with. */
  readonly destination: string;
  /** Where a file of this machine goes, as the session understands it. */
  readonly placeOf: (path: string) => string;
  /** The `sum` option. */
  readonly sum: string;
  readonly attempts: number;
  readonly preserveTime: boolean;
  readonly directoryMode: number | undefined;
  readonly followLinks: boolean;
  readonly now: () => number;
}

type Gain = Pick<Ready, 'subject' | 'next'>;

/**
 * Sends a file to the server whence others take it, before anybody is told of it: read once, hashed on the way, under its
 * final name when all of it is there. What has no content passes as it is.
 */
export function upload(transports: Transports, options: UploadOptions): Stage<Described, Gain> {
  const directories = remoteDirectories(options.directoryMode);
  const once = async (item: Described, stop: AbortSignal): Promise<Gain> => {
    const opened = await openSteady(item.path, options.followLinks);
    try {
      const session = await transports.session(options.destination, stop);
      try {
        return await send(item, { ...opened, session, directories, options }, stop);
      } finally {
        await session.close();
      }
    } finally {
      await opened.file.close();
    }
  };
  return {
    name: 'upload',
    run: (item, stop) => {
      if (item.draft.change.kind !== 'write') return { subject: item.draft, next: item.draft };
      return attempt(() => once(item, stop), { attempts: options.attempts, stop });
    },
  };
}

interface Job extends Opened {
  readonly session: Session;
  readonly directories: RemoteDirectories;
  readonly options: UploadOptions;
}

async function send(item: Described, job: Job, stop: AbortSignal): Promise<Gain> {
  const { session, directories, stat, options } = job;
  if (session.put === undefined)
    throw new PermanentError(497, `${options.destination} takes no files: nothing can be sent there`);
  const source = sumSource(options.sum, item.path);
  const digest = source.kind === 'content' ? openDigest(source.algorithm, stat.size) : undefined;
  const names = namesOf(options.placeOf(item.path), undefined);
  const directory = posix.dirname(names.path);
  try {
    await directories.ensure(session, directory, stop);
    // Who may read it there is for the server to say: what it is to be in the end stands in the announcement.
    const modified = options.preserveTime ? stat.mtime : undefined;
    const data = bytesOf(item.path, job, digest?.update);
    await session.put({ ...names, size: stat.size, data, modified }, stop);
  } catch (thrown) {
    digest?.abandon();
    directories.forget(directory);
    throw thrown;
  }
  const isAsFound = item.stat !== undefined && isUnchanged(item.stat, stat);
  const current = isAsFound ? item : redescribe(item, stat, options.now());
  const sum =
    source.kind === 'given'
      ? source.give()
      : { algorithm: source.algorithm, value: (await digest?.value()) ?? '' };
  const { subject, next } = readyOf(current, wholeFile(stat.size), sum);
  return { subject, next };
}

/** The bytes of a file. The last of them only go out when it has not changed: else nothing gets the final name. */
async function* bytesOf(
  path: string,
  { file, stat }: Opened,
  look: ((data: Uint8Array) => Promise<void> | undefined) | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let taken = 0;
  for await (const piece of readRange(file, 0, stat.size)) {
    taken += piece.byteLength;
    await look?.(piece);
    if (taken === stat.size) await requireUnchanged(path, { file, stat });
    yield piece;
  }
  if (taken < stat.size) throw changes(path);
}

async function requireUnchanged(path: string, { file, stat }: Opened): Promise<void> {
  if (!isUnchanged(stat, await file.stat())) throw changes(path);
}

const changes = (path: string): RetryableError =>
  new RetryableError(`${path} changes while it is sent: send it when it is complete`);
