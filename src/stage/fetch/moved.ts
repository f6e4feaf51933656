import { contentAlgorithm } from '../../checksum/algorithms.js';
import { PermanentError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import type { Placed } from '../../flow/item.js';
import { fileSize } from '../../message/parts.js';
import { hasContent } from './content.js';
import { relativeTo } from '../place/target.js';

/**
 * The new half of a rename (or a hard link): true when the old name is here, below the same root, with just the
 * announced content, so that it can be linked instead of fetched.
 */
export async function isAlreadyHere(item: Placed, root: Root, stop: AbortSignal): Promise<boolean> {
  const { counterpart, target, subject } = item;
  if (subject.moved?.from === undefined || counterpart === undefined || counterpart.root !== target.root)
    return false;
  if (subject.change.kind !== 'write') return false;
  const path = relativeTo(counterpart);
  if (!isReachable(root, path)) return false;
  const there = statInside(root, path);
  const { parts, sum } = subject.change;
  if (there === undefined || !there.isFile()) return false;
  if (parts !== undefined && fileSize(parts) !== there.size) return false;
  const algorithm = contentAlgorithm(sum);
  if (algorithm === undefined || sum?.algorithm === 'z') return false;
  return hasContent(root, path, algorithm, sum?.value, stop);
}

/**
 * False for another half of a rename that lies behind a link leading out of the tree: it is as if it had not been
 * named, what is left is a plain write or a plain removal.
 */
export function isReachable(root: Root, path: string): boolean {
  try {
    statInside(root, path);
    return true;
  } catch (thrown) {
    if (thrown instanceof PermanentError) return false;
    throw thrown;
  }
}
