import type { FileHandle } from 'node:fs/promises';

/** Bytes read at a time. */
const readSize = 512 * 1024;

/** The bytes of a range of an open file, each piece in memory of its own; fewer than asked for where the file ends. */
export async function* readRange(
  file: FileHandle,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let taken = 0; taken < length;) {
    const wanted = Math.min(readSize, length - taken);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, offset + taken);
    if (bytesRead === 0) return;
    taken += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Bytes looked at in each place. */
const sampleSize = 4096;

/**
 * Whether a range of a sparse file may have been written: false when its beginning, middle and end hold nothing but
 * zeros, as where nobody has written.
 */
export async function mayBeWritten(file: FileHandle, offset: number, length: number): Promise<boolean> {
  const size = Math.min(sampleSize, length);
  const buffer = Buffer.alloc(size);
  for (const at of [offset, offset + Math.floor((length - size) / 2), offset + length - size]) {
    const { bytesRead } = await file.read(buffer, 0, size, at);
    if (buffer.subarray(0, bytesRead).some((byte) => byte !== 0)) return true;
  }
  return false;
}
