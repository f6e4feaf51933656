import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  renameSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { RetryableError, systemCode } from '../errors.js';
import { permissionBits, setAttributes, type Attributes } from './attributes.js';
import { diskError } from './disk-error.js';
import { flushData, flushDirectory } from './flush.js';
import { inflightName, type InflightNaming } from './inflight-name.js';
import { inside, type Root } from './inside.js';
import { elementsOf, splitPath } from './relative-path.js';
import { writeAllAt } from './write-all.js';

/*
 * A file that is put together from blocks, by any number of processes at once. Each writes its blocks at their offset
 * and nothing else; nobody truncates before all blocks are there. What is missing is a hole, which takes no room.
 */

/**
 * Bytes gathered before they are written. Little, because many blocks come at once: buffers that wait for long are taken
 * for lasting ones, and what has become of them is looked at late, and with much effort.
 */
const batch = 128 * 1024;

/** A block being written to its place in a file. End it with `close`. */
export interface BlockFile {
  /** Takes the next bytes, which must not be changed afterwards. Await the result before writing more. */
  readonly write: (data: Uint8Array) => Promise<void> | undefined;
  /** Bytes taken so far. */
  readonly size: () => number;
  /** Bytes that are in the file. */
  readonly written: () => number;
  /** Writes what was taken. Throws RetryableError. */
  readonly writeOut: () => Promise<void>;
  /** To read what was written, until it is closed; and where its first byte is. */
  readonly descriptor: number;
  readonly offset: number;
  /** Everything taken is in the file; survives a power failure when it is to be flushed. Throws RetryableError. */
  readonly finish: (flush: boolean) => Promise<void>;
  /** Harmless after the first time. */
  readonly close: () => Promise<void>;
}

export interface BlockFileOptions {
  /** First byte of the block. */
  readonly offset: number;
  /** Permissions the file is made with; default 0666 less umask. */
  readonly mode?: number | undefined;
  readonly directoryMode?: number | undefined;
}

/**
 * The private path of the file in which the blocks of one generation gather, relative to the root like the target. It is
 * hidden, and in the directory that the option `inflight` names, if it names one. Throws PermanentError as `elementsOf`.
 */
export function assemblingPath(relTarget: string, generation: string, naming: InflightNaming): string {
  const { directories, name } = splitPath(relTarget);
  const below = naming.kind === 'directory' ? elementsOf(naming.directory) : [];
  const own = inflightName(`${name}.${generation.slice(0, 16)}`, { kind: 'none' });
  return [...directories, ...below, own].join('/');
}

/**
 * Opens a file for one of its blocks; undefined when it is not there. Throws PermanentError 417 when the path leaves the
 * root, RetryableError for the disk.
 */
export function openBlockFile(root: Root, relPath: string, options: BlockFileOptions): BlockFile | undefined {
  try {
    return blockFile(root, relPath, openForWriting(root, relPath, 0, options), options);
  } catch (thrown) {
    if (thrown instanceof RetryableError && systemCode(thrown.cause) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** The same, and makes it, with its directory, when it is not there. */
export const makeBlockFile = (root: Root, relPath: string, options: BlockFileOptions): BlockFile =>
  blockFile(root, relPath, openForWriting(root, relPath, constants.O_CREAT, options), options);

function blockFile(root: Root, relPath: string, opened: number, options: BlockFileOptions): BlockFile {
  let descriptor: number | undefined = opened;
  let position = options.offset;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let written = 0;
  let under: Promise<void> = Promise.resolve();

  const writeOut = (): Promise<void> => {
    const data = pending;
    const at = position;
    pending = [];
    position += pendingBytes;
    const upTo = position - options.offset;
    pendingBytes = 0;
    const work = writeAllAt(opened, data, at).then(
      () => {
        written = upTo;
      },
      (error: unknown) => {
        throw diskError(error, `write ${root.absolute(relPath)}`);
      },
    );
    under = work.catch(() => undefined);
    return work;
  };
  return {
    size: () => position - options.offset + pendingBytes,
    written: () => written,
    writeOut: () => (pendingBytes > 0 ? writeOut() : under),
    descriptor: opened,
    offset: options.offset,
    write: (data) => {
      pending.push(data);
      pendingBytes += data.byteLength;
      return pendingBytes >= batch ? writeOut() : undefined;
    },
    finish: async (flush) => {
      if (pendingBytes > 0) await writeOut();
      requireSame(root, relPath, opened);
      if (flush) await flushShared(root, relPath, opened);
    },
    close: async () => {
      await under;
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

/** Opens, for writing, a regular file that has this one name. */
function openShared(
  root: Root,
  relPath: string,
  flags: number,
  { mode, directoryMode }: Omit<BlockFileOptions, 'offset'>,
  access = constants.O_RDWR,
): number {
  const { O_NOFOLLOW, O_NONBLOCK } = constants;
  const create = (flags & constants.O_CREAT) === 0 ? undefined : { mode: directoryMode };
  return inside(root, relPath, { what: 'write', ...(create && { create }) }, ({ at }) => {
    // Others write to it after us, whatever the file will allow in the end.
    const made = permissionBits(mode ?? 0o666) | 0o600;
    const descriptor = openSync(at, flags | access | O_NOFOLLOW | O_NONBLOCK, made);
    const stat = fstatSync(descriptor);
    if (stat.isFile() && stat.nlink <= 1) return descriptor;
    closeSync(descriptor);
    const why = stat.isFile()
      ? 'it has other names, and what is written here would change there: remove one of them'
      : 'it is not a regular file';
    throw new RetryableError(`cannot write ${root.absolute(relPath)}: ${why}`);
  });
}

const isForbidden = (thrown: unknown): boolean =>
  thrown instanceof RetryableError && systemCode(thrown.cause) === 'EACCES';

/**
 * A file of our own that nobody may write to, as a version that stands at the target may be, is made writable: its
 * permissions are set when it is whole. Somebody else's is left as it is.
 */
function openForWriting(
  root: Root,
  relPath: string,
  flags: number,
  options: Omit<BlockFileOptions, 'offset'>,
): number {
  try {
    return openShared(root, relPath, flags, options);
  } catch (thrown) {
    if (!isForbidden(thrown) || !isAllowedNow(root, relPath, options)) throw thrown;
    return openShared(root, relPath, flags, options);
  }
}

/** Whether its owner may write to a file now, which is what we are if that can be changed. */
function isAllowedNow(root: Root, relPath: string, options: Omit<BlockFileOptions, 'offset'>): boolean {
  let descriptor: number | undefined;
  try {
    descriptor = openShared(root, relPath, 0, options, constants.O_RDONLY);
    fchmodSync(descriptor, permissionBits(fstatSync(descriptor).mode) | 0o600);
    return true;
  } catch {
    // What stood in the way of writing is told.
    return false;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** What is to be finished may be read-only: who died behind the attributes left it so, or nothing in it was to be changed. */
function openFinishing(root: Root, relPath: string, options: WholeOptions): number {
  try {
    return openShared(root, relPath, 0, options);
  } catch (thrown) {
    if (!isForbidden(thrown)) throw thrown;
  }
  const descriptor = openShared(root, relPath, 0, options, constants.O_RDONLY);
  if (fstatSync(descriptor).size <= options.size) return descriptor;
  closeSync(descriptor);
  return openForWriting(root, relPath, 0, options);
}

/** What was written must be in the file that has the name: it may have been given up, or replaced, meanwhile. */
function requireSame(root: Root, relPath: string, descriptor: number): void {
  const own = fstatSync(descriptor);
  const there = inside(root, relPath, { what: 'look at' }, ({ at }) =>
    lstatSync(at, { throwIfNoEntry: false }),
  );
  if (there?.ino === own.ino && there.dev === own.dev) return;
  throw new RetryableError(`${root.absolute(relPath)} was removed or replaced while it was written`);
}

async function flushShared(root: Root, relPath: string, descriptor: number): Promise<void> {
  const { directories } = splitPath(relPath);
  const place = root.enter(directories);
  try {
    await flushData(descriptor);
    await flushDirectory(root, place, directories);
  } catch (error) {
    throw diskError(error, `flush ${root.absolute(relPath)}`);
  } finally {
    place.release();
  }
}

export interface WholeOptions extends Attributes {
  /** Bytes of the whole file: what is behind them goes. */
  readonly size: number;
  readonly flush: boolean;
}

/**
 * All blocks are in the file: gives it its size and attributes. Throws RetryableError when it is shorter, or for the disk.
 */
export async function finishAssembled(root: Root, relPath: string, options: WholeOptions): Promise<void> {
  const descriptor = openFinishing(root, relPath, options);
  try {
    const { size } = fstatSync(descriptor);
    if (size < options.size)
      throw new RetryableError(`${relPath} has ${size} bytes where ${options.size} are to be`);
    if (size > options.size) ftruncateSync(descriptor, options.size);
    const { mode, modified, accessed } = options;
    setAttributes(descriptor, { mode, modified, accessed });
    if (options.flush) await flushShared(root, relPath, descriptor);
  } catch (error) {
    throw diskError(error, `finish ${root.absolute(relPath)}`);
  } finally {
    closeSync(descriptor);
  }
}

/** Renames what is finished over the target; the directory is not flushed. Throws RetryableError when that was not done. */
export async function nameAssembled(
  root: Root,
  relPath: string,
  relTarget: string,
  directoryMode: number | undefined,
): Promise<void> {
  const own = splitPath(relPath);
  const target = splitPath(relTarget);
  const from = root.enter(own.directories);
  const to = root.enter(target.directories, { mode: directoryMode });
  try {
    const [source, final] = [from.at(own.name), to.at(target.name)];
    // Some file systems write the data out before they replace a file: we must not stand still for that.
    if (lstatSync(final, { throwIfNoEntry: false }) === undefined) renameSync(source, final);
    else await rename(source, final);
  } catch (error) {
    throw diskError(error, `install ${root.absolute(relTarget)}`);
  } finally {
    from.release();
    to.release();
  }
}
