import type { InputAttributes } from 'ssh2';
import { RetryableError } from '../../errors.js';
import type { Upload } from '../transport.js';
import type { Watch } from '../watch.js';
import { type Channel, status, statusOf } from './channel.js';
import { directoryOf } from './remote-path.js';
import { noSpace } from './sftp-error.js';

/** Bytes of one file that are sent ahead of the server's answers. */
const ahead = 4 * 1024 * 1024;

const flags = { write: 0x02, create: 0x08, truncate: 0x10, exclusive: 0x20 } as const;

/** Permissions of a file that nobody may read yet, and of one of which none are known. */
const hidden = 0;
const usual = 0o644;

export interface Sending {
  readonly channel: Channel;
  /** As the server is asked: the final name, and the one until then. */
  readonly path: string;
  readonly inflight: string | undefined;
  readonly upload: Upload;
  /** For messages. */
  readonly shown: string;
  readonly guard: Watch;
  /** Told of attributes that the server does not set. */
  readonly onAttributes: (error: unknown) => void;
  /** Where the disk of the server is to have the file before it has its name: told that this server cannot do that. */
  readonly onUnflushed?: (() => void) | undefined;
  /** From now on something of ours stands there. */
  readonly onOpened: () => void;
}

/** Sends a file, or a part of one. What stands under a private name when it fails is for the caller to remove. */
export async function send(sending: Sending): Promise<void> {
  const { channel, path, inflight, upload, shown, guard } = sending;
  const handle = await openFor(sending);
  let bytes: number;
  try {
    const { whole } = upload;
    bytes = whole === undefined ? await sendStream(sending, handle) : await sendWhole(sending, handle, whole);
  } catch (error) {
    channel.close(handle).catch(() => undefined);
    throw await explained(error, sending);
  }
  if (upload.size !== undefined && bytes !== upload.size) {
    channel.close(handle).catch(() => undefined);
    throw new RetryableError(`cannot send ${shown}: ${bytes} bytes came of ${upload.size}`);
  }
  await finish(sending, handle, bytes);
  if (inflight !== undefined) await guard.wait(moveOver(channel, inflight, path));
}

/** Opens it; a private name that somebody left is taken over, never written through. */
async function openFor(sending: Sending): Promise<Buffer> {
  const { channel, path, inflight, upload, guard } = sending;
  const mode = upload.isHidden === true ? hidden : upload.mode;
  if (upload.offset !== undefined) return openGuarded(sending, path, flags.write | flags.create, mode);
  if (inflight === undefined) {
    // Opened, a file that is there keeps its permissions.
    if (upload.isHidden === true) await guard.wait(hide(channel, path));
    return openGuarded(sending, path, flags.write | flags.create | flags.truncate, mode);
  }
  const own = flags.write | flags.create | flags.truncate | flags.exclusive;
  try {
    return await openGuarded(sending, inflight, own, mode);
  } catch (error) {
    const code = statusOf(error);
    if (code !== status.failure && code !== status.fileExists) throw error;
    try {
      await guard.wait(channel.unlink(inflight));
    } catch {
      // Then it was not in the way.
      throw error;
    }
    return openGuarded(sending, inflight, own, mode);
  }
}

async function openGuarded(
  { channel, guard, upload, onOpened }: Sending,
  path: string,
  how: number,
  mode: number | undefined,
): Promise<Buffer> {
  const opening = channel.open(path, how, mode);
  try {
    const handle = await guard.wait(opening);
    onOpened();
    return handle;
  } catch (error) {
    // It may still come to be, when nobody waits for it any more.
    opening
      .then(async (handle) => {
        await channel.close(handle);
        if (upload.offset === undefined) await channel.unlink(path);
      })
      .catch(() => undefined);
    throw error;
  }
}

async function hide(channel: Channel, path: string): Promise<void> {
  try {
    await channel.setAttributesOf(path, { mode: hidden });
  } catch (error) {
    if (statusOf(error) !== status.noSuchFile) throw error;
  }
}

async function sendWhole(
  { channel, upload, guard }: Sending,
  handle: Buffer,
  whole: readonly Uint8Array[],
): Promise<number> {
  const data = whole.length === 1 ? bufferOf(whole[0] as Uint8Array) : Buffer.concat(whole);
  const writes: Promise<void>[] = [];
  for (let sent = 0; sent < data.byteLength; sent += channel.writeSize) {
    const piece = data.subarray(sent, sent + channel.writeSize);
    writes.push(channel.write(handle, piece, (upload.offset ?? 0) + sent));
  }
  await guard.wait(Promise.all(writes));
  guard.got(data.byteLength);
  return data.byteLength;
}

const bufferOf = (data: Uint8Array): Buffer =>
  Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** Sends what comes, ahead of the answers. */
async function sendStream({ channel, upload, guard, shown }: Sending, handle: Buffer): Promise<number> {
  const answers: { readonly bytes: number; readonly answer: Promise<void> }[] = [];
  const start = upload.offset ?? 0;
  let sent = 0;
  let pending = 0;
  const hear = async (): Promise<void> => {
    const first = answers.shift();
    if (first === undefined) return;
    await guard.wait(first.answer);
    pending -= first.bytes;
    guard.got(first.bytes);
  };
  for await (const chunk of upload.data) {
    const reason = guard.cut();
    if (reason !== undefined) throw reason;
    const data = bufferOf(chunk);
    if (upload.size !== undefined && sent + data.byteLength > upload.size) {
      throw new RetryableError(`cannot send ${shown}: more than ${upload.size} bytes came`);
    }
    for (let at = 0; at < data.byteLength; at += channel.writeSize) {
      const piece = data.subarray(at, at + channel.writeSize);
      while (pending > 0 && pending + piece.byteLength > ahead) await hear();
      const answer = channel.write(handle, piece, start + sent);
      answer.catch(() => undefined);
      answers.push({ bytes: piece.byteLength, answer });
      pending += piece.byteLength;
      sent += piece.byteLength;
    }
  }
  while (answers.length > 0) await hear();
  return sent;
}

/** Attributes, the size that the server has, and the end of the file: asked for at once, judged together. */
async function finish(sending: Sending, handle: Buffer, bytes: number): Promise<void> {
  const { channel, upload, guard, shown, onAttributes, onUnflushed } = sending;
  const wanted = attributesOf(upload);
  const isFlushed = onUnflushed !== undefined && channel.canFlush;
  if (!isFlushed) onUnflushed?.();
  const [set, found, flushed, closed] = await guard.wait(
    Promise.allSettled([
      wanted === undefined ? undefined : channel.setAttributes(handle, wanted),
      channel.attributes(handle),
      isFlushed ? channel.flush(handle) : undefined,
      channel.close(handle),
    ]),
  );
  if (flushed.status === 'rejected') throw await explained(flushed.reason, sending);
  if (closed.status === 'rejected') throw await explained(closed.reason, sending);
  if (found.status === 'rejected') {
    if (statusOf(found.reason) !== status.unsupported) throw await explained(found.reason, sending);
  } else if (!hasSize(found.value.size, bytes, upload.offset)) {
    throw new RetryableError(`cannot send ${shown}: the server has ${found.value.size} bytes of ${bytes}`);
  }
  if (set.status === 'fulfilled') return;
  // Nobody could read a file that stays hidden.
  const isRefused = [status.unsupported, status.permissionDenied].some(
    (code) => code === statusOf(set.reason),
  );
  if (!isRefused || upload.isHidden === true) throw await explained(set.reason, sending);
  onAttributes(set.reason);
}

const hasSize = (found: number, bytes: number, offset: number | undefined): boolean =>
  offset === undefined ? found === bytes : found >= offset + bytes;

function attributesOf({ mode, modified, isHidden }: Upload): InputAttributes | undefined {
  const wanted = mode ?? (isHidden === true ? usual : undefined);
  if (wanted === undefined && modified === undefined) return undefined;
  const time = modified === undefined ? undefined : Math.floor(modified.getTime() / 1000);
  return {
    ...(wanted !== undefined && { mode: wanted }),
    ...(time !== undefined && { atime: time, mtime: time }),
  };
}

/** Servers say no more than that it failed: when there is no room, that is why. */
async function explained(error: unknown, sending: Sending): Promise<unknown> {
  const { channel, path, shown, guard } = sending;
  if (statusOf(error) !== status.failure) return error;
  try {
    const free = await guard.wait(channel.freeSpace(directoryOf(path) ?? (path.startsWith('/') ? '/' : '.')));
    if (free !== undefined && free < channel.writeSize) return noSpace(`cannot send ${shown}`, error);
  } catch {
    // Nobody knows, then.
  }
  return error;
}

/** In one step where the server can; where it cannot, what stands there is removed first. */
export async function moveOver(channel: Channel, from: string, to: string): Promise<void> {
  if (channel.canReplace) return channel.replace(from, to);
  try {
    await channel.rename(from, to);
  } catch (error) {
    const code = statusOf(error);
    if (code !== status.failure && code !== status.fileExists && code !== status.permissionDenied)
      throw error;
    try {
      await channel.unlink(to);
    } catch {
      throw error;
    }
    await channel.rename(from, to);
  }
}
