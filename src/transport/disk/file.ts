import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { PermanentError, RetryableError } from '../../errors.js';
import { fileError } from './file-error.js';
import { openWriting } from './file-put.js';
import type {
  ByteRange,
  Download,
  OpenFile,
  Session,
  TakeAway,
  TransferLimits,
  Transport,
} from '../transport.js';
import { watch, type Watch } from '../watch.js';

/** Bytes read at a time. */
const readSize = 256 * 1024;

/** Opens the transport for `file:`: files that this machine can open itself. */
export function openFiles(limits: TransferLimits): Transport {
  return {
    open: async ({ url }) => ({
      ...openWriting(url, limits),
      get: (path, stop, range) => get({ path: absolutePath(path), open: openRegular, limits }, stop, range),
      localPath: absolutePath,
      close: async () => undefined,
    }),
  };
}

/**
 * The transport for `file:` where somebody else says which files are meant. They can only be read, and removed where
 * somebody does that: nobody learns a path by which a file could be linked or removed.
 */
export function openFilesBy(open: OpenFile, limits: TransferLimits, takeAway?: TakeAway): Transport {
  const session: Session = {
    get: (path, stop, range) => get({ path: absolutePath(path), open, limits }, stop, range),
    ...(takeAway !== undefined && {
      look: (path) => takeAway.look(absolutePath(path)),
      remove: (path) => takeAway.remove(absolutePath(path)),
    }),
    close: async () => undefined,
  };
  return { open: async () => session };
}

const openRegular: OpenFile = (path) => open(path, constants.O_RDONLY | constants.O_NONBLOCK);

/** With `file:` the path is the file's own, made absolute. Throws PermanentError 417 for `..` and NUL. */
export function absolutePath(path: string): string {
  if (path.includes('\0') || path.split('/').includes('..')) {
    throw new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} is refused`);
  }
  return `/${path.replace(/^\/+/u, '')}`;
}

interface Wanted {
  readonly path: string;
  readonly open: OpenFile;
  readonly limits: TransferLimits;
}

async function get(
  { path, open: opener, limits }: Wanted,
  stop: AbortSignal,
  range: ByteRange | undefined,
): Promise<Download> {
  const guard = watch(stop, limits.timeout, () => path);
  let file: FileHandle | undefined;
  try {
    file = await openGuarded(opener(path), guard);
    const stat = await guard.wait(file.stat());
    if (!stat.isFile()) throw new RetryableError(`cannot read ${path}: it is not a regular file`);
    const offset = range?.offset ?? 0;
    const length = range?.length ?? Number.MAX_SAFE_INTEGER;
    const size = Math.max(0, Math.min(length, stat.size - offset));
    return { size, modified: stat.mtime, data: bytesOf({ file, path, guard }, offset, length) };
  } catch (error) {
    guard.end();
    closeLater(file);
    throw fileError(error, 'read', path);
  }
}

/** A file that opens after we gave up on it (a network disk that hangs) is closed again. */
async function openGuarded(opening: Promise<FileHandle>, guard: Watch): Promise<FileHandle> {
  try {
    return await guard.wait(opening);
  } catch (error) {
    opening.then(closeLater, () => undefined);
    throw error;
  }
}

interface Source {
  readonly file: FileHandle;
  readonly path: string;
  readonly guard: Watch;
}

/** Reads to the end or to `length`: what was appended since the file was opened belongs to it. */
function bytesOf({ file, path, guard }: Source, offset: number, length: number): AsyncIterable<Uint8Array> {
  let taken = 0;
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    guard.end();
    closeLater(file);
  };
  guard.onCut(end);
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const reason = guard.cut();
        if (reason !== undefined) throw reason;
        const wanted = Math.min(readSize, length - taken);
        if (ended) return { done: true, value: undefined };
        try {
          const buffer = Buffer.allocUnsafe(wanted);
          const read = wanted === 0 ? 0 : await readSome(file, buffer, offset + taken, guard);
          taken += read;
          if (read > 0) return { done: false, value: buffer.subarray(0, read) };
        } catch (error) {
          end();
          throw fileError(error, 'read', path);
        }
        end();
        return { done: true, value: undefined };
      },
      return: async () => {
        end();
        return { done: true, value: undefined };
      },
    }),
  };
}

const readSome = async (file: FileHandle, into: Buffer, position: number, guard: Watch): Promise<number> =>
  (await guard.wait(file.read(into, 0, into.byteLength, position))).bytesRead;

/** A handle waits for its pending reads before it closes; nobody waits for that. */
function closeLater(file: FileHandle | undefined): void {
  file?.close().catch(() => undefined);
}
