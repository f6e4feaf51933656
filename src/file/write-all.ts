import { write, writev, writeSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';

const writeOne = promisify(write);
const writeMany = promisify(writev);

/** The most buffers one call may gather (IOV_MAX). */
const mostBuffers = 1024;

const joined = (data: readonly Uint8Array[]): Uint8Array => {
  const [only] = data;
  return data.length === 1 && only !== undefined ? only : Buffer.concat(data);
};

/** Writes everything at the file's position, in one call if the system takes it. Throws system errors. */
export async function writeAll(descriptor: number, data: readonly Uint8Array[]): Promise<void> {
  const total = data.reduce((sum, one) => sum + one.byteLength, 0);
  let done = 0;
  if (data.length > 1 && data.length <= mostBuffers) {
    done = (await writeMany(descriptor, data as NodeJS.ArrayBufferView[])).bytesWritten;
  }
  if (done === total) return;
  const rest = joined(data);
  while (done < total) done += (await writeOne(descriptor, rest, done, total - done)).bytesWritten;
}

/** The same at a position, whatever the file's own is. Throws system errors. */
export async function writeAllAt(
  descriptor: number,
  data: readonly Uint8Array[],
  position: number,
): Promise<void> {
  const total = data.reduce((sum, one) => sum + one.byteLength, 0);
  let done = 0;
  if (data.length > 1 && data.length <= mostBuffers) {
    done = (await writeMany(descriptor, data as NodeJS.ArrayBufferView[], position)).bytesWritten;
  }
  if (done === total) return;
  const rest = joined(data);
  while (done < total) {
    done += (await writeOne(descriptor, rest, done, total - done, position + done)).bytesWritten;
  }
}

/** The same without the thread pool, for little data on a local disk. */
export function writeAllSync(descriptor: number, data: readonly Uint8Array[]): void {
  const total = data.reduce((sum, one) => sum + one.byteLength, 0);
  let done = 0;
  if (data.length > 1 && data.length <= mostBuffers) done = writevSync(descriptor, data);
  if (done === total) return;
  const rest = joined(data);
  while (done < total) done += writeSync(descriptor, rest, done, total - done);
}
