import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '../../errors.js';

/** Milliseconds between two looks at the file. */
const LOOK_EVERY = 200;
const PIECE = 65_536;

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/**
 * Writes the last `tail` bytes of a file, whole lines only, and then every line that is appended, over rotations,
 * until `stop` is aborted. Answers false when there is no such file.
 */
export async function followFile(
  path: string,
  tail: number,
  write: (line: string) => Promise<void>,
  stop: AbortSignal,
): Promise<boolean> {
  let file = await openIfThere(path);
  if (file === undefined) return false;
  try {
    let position = Math.max(0, (await file.stat()).size - tail);
    let isCut = position > 0;
    let rest = '';
    const read = async (from: FileHandle): Promise<void> => {
      const buffer = Buffer.alloc(PIECE);
      for (;;) {
        const { bytesRead } = await from.read(buffer, 0, PIECE, position);
        if (bytesRead === 0 || stop.aborted) return;
        position += bytesRead;
        const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
        rest = lines.pop() ?? '';
        if (isCut && lines.length > 0) {
          lines.shift();
          isCut = false;
        }
        for (const line of lines) await write(line);
      }
    };
    while (!stop.aborted) {
      await read(file);
      const next = await successor(file, path, position);
      if (next !== undefined) {
        // What was written between the last look and the rotation.
        await read(file);
        await file.close();
        file = next;
        position = 0;
        isCut = false;
        continue;
      }
      await sleep(LOOK_EVERY, undefined, { signal: stop }).catch(() => undefined);
    }
    return true;
  } finally {
    await file.close();
  }
}

/** The file that has taken the place of ours: another one, or the same one emptied. */
async function successor(file: FileHandle, path: string, position: number): Promise<FileHandle | undefined> {
  const now = await openIfThere(path);
  if (now === undefined) return undefined;
  const [ours, theirs] = [await file.stat(), await now.stat()];
  if (ours.ino !== theirs.ino || ours.dev !== theirs.dev || theirs.size < position) return now;
  await now.close();
  return undefined;
}
