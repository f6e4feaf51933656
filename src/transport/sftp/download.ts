import { RetryableError } from '../../errors.js';
import { spend } from '../http/spent-buffers.js';
import type { ByteRange, Download } from '../transport.js';
import type { Watch } from '../watch.js';
import { type Channel, isRegular } from './channel.js';
import { sftpError } from './sftp-error.js';

/** Files up to this size come at once, in one piece. */
const smallest = 128 * 1024;

/** Bytes of one file that are asked for ahead of the reader. */
const ahead = 4 * 1024 * 1024;

/** Whole seconds are what a server tells: a file that changed this recently may change once more and look the same. */
const settled = 5000;

const readOnly = 1;

export interface Wanted {
  readonly channel: Channel;
  readonly path: string;
  /** For messages. */
  readonly shown: string;
  readonly guard: Watch;
}

/** Asks for a file. The watch ends with the bytes, or here when it throws. */
export async function download(wanted: Wanted, range: ByteRange | undefined): Promise<Download> {
  const { channel, path, shown, guard } = wanted;
  try {
    const reason = guard.cut();
    if (reason !== undefined) throw reason;
    // Looked at before it is opened: a pipe would hold up the server, and everything else that it is asked for.
    const found = await guard.wait(channel.stat(path));
    if (!isRegular(found)) throw new RetryableError(`cannot fetch ${shown}: it is not a regular file`);
    const validator = `${found.size}-${found.mtime}`;
    const isAnew = range?.validator !== undefined && range.validator !== validator;
    const offset = isAnew ? 0 : (range?.offset ?? 0);
    const length = isAnew ? Infinity : (range?.length ?? Infinity);
    const size = Math.max(0, Math.min(length, found.size - offset));
    const handle = await opened(wanted);
    const source: Source = { ...wanted, handle, offset, size };
    const told = {
      size,
      modified: new Date(found.mtime * 1000),
      ...(found.mtime * 1000 < Date.now() - settled && { validator }),
      ...(isAnew && { isAnew }),
    };
    if (size > smallest) return { ...told, data: streamed(source) };
    const whole = await readAll(source);
    return { ...told, whole, data: once(whole) };
  } catch (error) {
    guard.end();
    throw sftpError(error, `cannot fetch ${shown}`);
  }
}

/** A handle that comes after we gave up is given back. */
async function opened({ channel, path, guard }: Wanted): Promise<Buffer> {
  const opening = channel.open(path, readOnly);
  try {
    return await guard.wait(opening);
  } catch (error) {
    opening.then((handle) => giveBack(channel, handle), nothing);
    throw error;
  }
}

const nothing = (): void => undefined;

const giveBack = (channel: Channel, handle: Buffer): void => {
  channel.close(handle).catch(nothing);
};

const once = (data: readonly Uint8Array[]): AsyncIterable<Uint8Array> => ({
  async *[Symbol.asyncIterator]() {
    yield* data;
  },
});

interface Source extends Wanted {
  readonly handle: Buffer;
  readonly offset: number;
  readonly size: number;
}

/** Bytes at a place, all of them: servers may answer with fewer than were asked for. */
async function readFully(
  { channel, handle, shown, size, offset }: Source,
  position: number,
  length: number,
): Promise<Buffer> {
  const into = Buffer.allocUnsafeSlow(length);
  for (let taken = 0; taken < length;) {
    const read = await channel.read(handle, taken === 0 ? into : into.subarray(taken), position + taken);
    if (read === 0) {
      const got = position + taken - offset;
      throw new RetryableError(`${shown} ended after ${got} of ${size} bytes`);
    }
    taken += read;
  }
  return into;
}

async function readAll(source: Source): Promise<readonly Uint8Array[]> {
  const { channel, handle, guard, offset, size } = source;
  try {
    const pieces: Promise<Buffer>[] = [];
    for (let taken = 0; taken < size; taken += channel.readSize) {
      pieces.push(readFully(source, offset + taken, Math.min(channel.readSize, size - taken)));
    }
    return await guard.wait(Promise.all(pieces));
  } finally {
    giveBack(channel, handle);
    guard.end();
  }
}

/** Asks ahead of the reader, and gives the pieces in their order. */
function streamed(source: Source): AsyncIterable<Uint8Array> {
  const { channel, handle, guard, offset, size, shown } = source;
  const asked: { readonly bytes: number; readonly piece: Promise<Buffer> }[] = [];
  let next = 0;
  let pending = 0;
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    guard.end();
    giveBack(channel, handle);
  };
  const ask = (): void => {
    while (next < size && (pending === 0 || pending + channel.readSize <= ahead)) {
      const bytes = Math.min(channel.readSize, size - next);
      const piece = readFully(source, offset + next, bytes);
      piece.catch(nothing);
      asked.push({ bytes, piece });
      next += bytes;
      pending += bytes;
    }
  };
  const take = async (): Promise<Buffer | undefined> => {
    ask();
    const first = asked.shift();
    if (first === undefined) return undefined;
    const data = await guard.wait(first.piece);
    pending -= first.bytes;
    guard.got(first.bytes);
    spend(first.bytes);
    ask();
    return data;
  };
  guard.onCut(end);
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const reason = guard.cut();
        if (reason !== undefined) throw reason;
        if (ended) return { done: true, value: undefined };
        try {
          const value = await take();
          if (value !== undefined) return { done: false, value };
        } catch (error) {
          end();
          throw sftpError(error, `cannot fetch ${shown}`);
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
