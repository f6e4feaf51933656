import { RetryableError } from '../errors.js';
import type { Root } from './inside.js';
import { openInside, statInside } from './look.js';

/** Bytes compared at a time. */
const pieceSize = 1024 * 1024;

/** Whether two files below a root have the same `size` bytes. Throws as `openInside`; RetryableError when stopped. */
export async function isSameFile(
  root: Root,
  one: string,
  other: string,
  size: number,
  stop: AbortSignal,
): Promise<boolean> {
  const there = statInside(root, other);
  if (there?.isFile() !== true || there.size !== size) return false;
  const first = await openInside(root, one);
  try {
    const second = await openInside(root, other);
    try {
      const [left, right] = [Buffer.allocUnsafe(pieceSize), Buffer.allocUnsafe(pieceSize)];
      for (let at = 0; at < size; at += pieceSize) {
        if (stop.aborted) throw new RetryableError('stopped while two files were compared');
        const length = Math.min(pieceSize, size - at);
        const read = await Promise.all([first.read(left, 0, length, at), second.read(right, 0, length, at)]);
        if (read.some(({ bytesRead }) => bytesRead !== length)) return false;
        if (left.compare(right, 0, length, 0, length) !== 0) return false;
      }
      return true;
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}
