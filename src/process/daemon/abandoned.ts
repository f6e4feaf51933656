import { RetryableError } from '../../errors.js';
import { removeInside } from '../../file/change.js';
import { openRoot } from '../../file/inside.js';

/** Removes what a process left under a private name when it died: `ROOT`, a line feed, and the path below it. */
export async function removeAbandoned(leftover: string): Promise<void> {
  const [directory, path] = leftover.split('\n');
  if (directory === undefined || path === undefined) return;
  try {
    const root = openRoot(directory);
    try {
      removeInside(root, path);
    } finally {
      root.close();
    }
  } catch (thrown) {
    // Gone with its directory, or on a file system that is away: nothing that could be seen as a result is left.
    if (!(thrown instanceof RetryableError)) throw thrown;
  }
}
