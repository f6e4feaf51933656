import { constants } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  open,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { posix } from 'node:path';
import { PermanentError, RetryableError, systemCode } from '../../errors.js';
import { fileError } from './file-error.js';
import type { RemoteEntry, Session, TransferLimits, Upload } from '../transport.js';
import { watch, type Watch } from '../watch.js';

/* Writing to disks that this machine has mounted, as to any other server. */

type Writing = Required<
  Pick<Session, 'put' | 'makeDirectory' | 'rename' | 'remove' | 'link' | 'look' | 'truncate'>
>;

const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW } = constants;

/** Pieces up to so many bytes are gathered before they are written. */
const batch = 256 * 1024;

/** What can be written below the directory that the URL of a site names. */
export function openWriting(siteUrl: string, limits: TransferLimits): Writing {
  const base = directoryOf(siteUrl);
  const at = (path: string): string => {
    if (path.includes('\0') || path.split('/').includes('..'))
      throw new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} is refused`);
    return posix.resolve(base, path);
  };
  /** Does one thing, under guard, and says what failed. */
  const doing = async <T>(
    verb: string,
    path: string,
    stop: AbortSignal,
    work: (local: string, guard: Watch) => Promise<T>,
  ): Promise<T> => {
    const local = at(path);
    const guard = watch(stop, limits.timeout, () => local, 'sending');
    try {
      const reason = guard.cut();
      if (reason !== undefined) throw reason;
      return await work(local, guard);
    } catch (thrown) {
      throw fileError(thrown, verb, local);
    } finally {
      guard.end();
    }
  };
  return {
    put: (upload, stop) =>
      doing('write', upload.path, stop, (local, guard) => {
        const { inflight } = upload;
        const job = { upload, local, guard, isFlushed: limits.flush === true };
        return upload.offset === undefined
          ? putFile(job, inflight === undefined ? undefined : at(inflight))
          : putRange(job, upload.offset);
      }),
    makeDirectory: (path, mode, stop) =>
      doing('make directory', path, stop, (local, guard) => guard.wait(makeAll(local, mode))),
    rename: (from, to, stop) =>
      doing('rename', from, stop, (local, guard) => guard.wait(rename(local, at(to)))),
    remove: (path, stop) => doing('remove', path, stop, (local, guard) => guard.wait(removeOne(local))),
    link: (path, to, stop) => doing('link', path, stop, (local, guard) => guard.wait(linkOver(local, to))),
    look: (path, stop) => doing('look at', path, stop, (local, guard) => guard.wait(lookAt(local))),
    truncate: (path, size, stop) =>
      doing('cut', path, stop, (local, guard) => guard.wait(truncate(local, size))),
  };
}

/** `file:/srv/in` names a directory, and paths without a slash in front are below it. */
function directoryOf(siteUrl: string): string {
  const path = URL.canParse(siteUrl) ? new URL(siteUrl).pathname : '/';
  try {
    return posix.resolve('/', decodeURIComponent(path));
  } catch {
    return posix.resolve('/', path);
  }
}

interface Job {
  readonly upload: Upload;
  readonly local: string;
  readonly guard: Watch;
  readonly isFlushed: boolean;
}

async function putFile(job: Job, inflight: string | undefined): Promise<void> {
  const { upload, local, guard, isFlushed } = job;
  const name = inflight ?? local;
  let file: FileHandle | undefined;
  let isOurs = false;
  try {
    file = await opened(openNew(name, inflight !== undefined, upload), guard);
    isOurs = true;
    await take(job, file, 0);
    await dress(file, upload, guard);
    if (isFlushed) await guard.wait(file.sync());
    const done = file;
    file = undefined;
    await guard.wait(done.close());
    if (inflight !== undefined) await guard.wait(rename(name, local));
    isOurs = false;
    if (isFlushed) await guard.wait(flushDirectory(posix.dirname(local)));
  } catch (thrown) {
    await file?.close().catch(() => undefined);
    // What could not be opened is somebody else's.
    if (isOurs && (file !== undefined || inflight !== undefined)) await unlink(name).catch(() => undefined);
    throw thrown;
  }
}

/** A name for data on its way belongs to us: what stands there is left of somebody who died. */
async function openNew(name: string, isPrivate: boolean, { isHidden, mode }: Upload): Promise<FileHandle> {
  // Who may write it and nobody read it, until it is whole.
  const permissions = isHidden === true ? 0 : (mode ?? 0o666);
  if (!isPrivate && isHidden !== true) return open(name, O_WRONLY | O_CREAT | O_TRUNC, permissions);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return await open(name, flags, permissions);
  } catch (thrown) {
    if (systemCode(thrown) !== 'EEXIST') throw thrown;
  }
  await unlink(name);
  return open(name, flags, permissions);
}

async function putRange(job: Job, offset: number): Promise<void> {
  const { upload, local, guard, isFlushed } = job;
  const file = await opened(open(local, O_WRONLY | O_CREAT | O_NOFOLLOW, upload.mode ?? 0o666), guard);
  try {
    await take(job, file, offset);
    await dress(file, upload, guard);
    if (isFlushed) await guard.wait(file.sync());
  } finally {
    await file.close();
  }
}

/** A file that opens after we gave up on it (a network disk that hangs) is closed again. */
async function opened(opening: Promise<FileHandle>, guard: Watch): Promise<FileHandle> {
  try {
    return await guard.wait(opening);
  } catch (thrown) {
    opening.then(
      (file) => file.close().catch(() => undefined),
      () => undefined,
    );
    throw thrown;
  }
}

/** Writes all that comes. */
async function take({ upload, local, guard }: Job, file: FileHandle, offset: number): Promise<void> {
  const { size, data, whole } = upload;
  let taken = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const writeOut = async (): Promise<void> => {
    let rest = pending;
    let position = offset + taken - pendingBytes;
    pending = [];
    pendingBytes = 0;
    while (rest.length > 0) {
      const { bytesWritten } = await guard.wait(file.writev(rest, position));
      position += bytesWritten;
      rest = after(rest, bytesWritten);
    }
  };
  const takeOne = async (piece: Uint8Array): Promise<void> => {
    taken += piece.byteLength;
    if (size !== undefined && taken > size) throw differs(local, taken, size);
    pending.push(piece);
    pendingBytes += piece.byteLength;
    if (pendingBytes >= batch) await writeOut();
  };
  if (whole !== undefined) for (const piece of whole) await takeOne(piece);
  else
    for await (const piece of data) {
      const reason = guard.cut();
      if (reason !== undefined) throw reason;
      await takeOne(piece);
    }
  if (pendingBytes > 0) await writeOut();
  if (size !== undefined && taken !== size) throw differs(local, taken, size);
}

const differs = (path: string, taken: number, size: number): RetryableError =>
  new RetryableError(`cannot write ${path}: ${taken} bytes came where ${size} were expected`);

/** What is left of some pieces when so many bytes of them are written. */
function after(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = written;
  for (const piece of pieces) {
    if (skip < piece.byteLength) rest.push(skip === 0 ? piece : piece.subarray(skip));
    skip = Math.max(0, skip - piece.byteLength);
  }
  return rest;
}

async function dress(file: FileHandle, { mode, modified, isHidden }: Upload, guard: Watch): Promise<void> {
  if (modified !== undefined) await guard.wait(file.utimes(seconds(modified), seconds(modified)));
  const wanted = mode ?? (isHidden === true ? 0o666 & ~process.umask() : undefined);
  // Last: from now on it may be read.
  if (wanted !== undefined) await guard.wait(file.chmod(wanted));
}

/** Seconds are cut to microseconds: half of one more keeps all digits of a millisecond. */
const seconds = (time: Date): number => (time.getTime() + 0.0005) / 1000;

async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function makeAll(path: string, mode: number | undefined): Promise<void> {
  try {
    await mkdir(path);
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === 'ENOENT' && path !== '/') {
      await makeAll(posix.dirname(path), mode);
      await makeAll(path, mode);
      return;
    }
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    throw thrown;
  }
  // Whatever the umask takes away.
  if (mode !== undefined) await chmod(path, mode);
}

async function removeOne(path: string): Promise<void> {
  try {
    await ((await lstat(path)).isDirectory() ? rmdir(path) : unlink(path));
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw thrown;
  }
}

/** A link has no step in which it replaces another one: it is made beside it, and renamed. */
async function linkOver(path: string, to: string): Promise<void> {
  const beside = posix.join(posix.dirname(path), `.${posix.basename(path).slice(0, 60)}.link`);
  await rm(beside, { force: true });
  await symlink(to, beside);
  try {
    await rename(beside, path);
  } catch (thrown) {
    await rm(beside, { force: true });
    throw thrown;
  }
}

async function lookAt(path: string): Promise<RemoteEntry | undefined> {
  try {
    const there = await lstat(path);
    const kind = there.isFile()
      ? 'file'
      : there.isDirectory()
        ? 'directory'
        : there.isSymbolicLink()
          ? 'link'
          : 'other';
    return { kind, size: there.size, mode: there.mode & 0o7777, modified: there.mtime };
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
