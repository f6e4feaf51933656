import { contentAlgorithm } from '../../checksum/algorithms.js';
import { type Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import type { Compared, Joined, Placed, Target } from '../../flow/item.js';
import { done, type Settled } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import { blockLength } from '../../message/parts.js';
import { parseFileTime } from '../../message/pub-time.js';
import { hasContent } from './content.js';
import { type LocalBlockOptions, findBlock } from './local-block.js';
import { relativeTo } from '../place/target.js';

export interface UnchangedOptions extends LocalBlockOptions {
  /** `overwrite`: transfer without looking. */
  readonly overwrite: boolean;
}

/**
 * Looks at what is there before anything is transferred. A file that has the announced content, or is newer than
 * the announced one, ends the item as 304. Only the transfer is saved when the item may have been worked on
 * before, or has only changed its name: it goes on, because its trigger or its re-announcement may still be due. So does
 * a block whose bytes are here: it may be the last one that its file was waiting for.
 */
export function unchanged(
  rootOf: (target: Target) => Root,
  options: UnchangedOptions,
): Stage<Placed & Pick<Joined, 'block'>, Pick<Compared, 'present' | 'isLeft'>> {
  return {
    name: 'unchanged',
    run: (item, stop) => {
      const { assembly, block } = item;
      if (assembly !== undefined && block !== undefined) {
        if (block.placed !== undefined) return { present: true };
        if (options.overwrite && !item.repeated) return { present: false };
        return findBlock({ ...item, assembly, block }, rootOf(item.target), options, stop);
      }
      const verdict = compare(item, rootOf(item.target), options, stop);
      return verdict instanceof Promise ? verdict.then((found) => judge(item, found)) : judge(item, verdict);
    },
  };
}

type Verdict = 'different' | 'same' | 'newer';

function judge(item: Placed, verdict: Verdict): Pick<Compared, 'present'> | Settled {
  if (verdict === 'newer') return done(304, 'Not modified: the file here is newer');
  const isRenamed = item.subject.moved?.from !== undefined;
  if (verdict === 'same' && !item.repeated && !isRenamed) return done(304, 'Not modified');
  return { present: verdict === 'same' };
}

/** Waits only where bytes have to be read. */
function compare(
  item: Placed,
  root: Root,
  options: UnchangedOptions,
  stop: AbortSignal,
): Verdict | Promise<Verdict> {
  const { change, headers } = item.subject;
  if (change.kind !== 'write' || (options.overwrite && !item.repeated)) return 'different';
  const path = relativeTo(item.target);
  const there = statInside(root, path);
  if (there === undefined || !there.isFile()) return 'different';
  // A block that is kept as it is, is a file of that length.
  const size = change.parts === undefined ? undefined : blockLength(change.parts);
  if (size !== there.size) return 'different';
  const announced = options.preserveTime ? parseFileTime(headers.get('mtime') ?? '') : undefined;
  // Times travel with three digits, truncated: a difference below a millisecond is none.
  const newerBy = announced === undefined ? Number.NaN : there.mtimeMs - announced;
  if (!options.overwrite && newerBy >= 1) return 'newer';
  const algorithm = change.sum?.algorithm === 'z' ? undefined : contentAlgorithm(change.sum);
  if (algorithm === undefined) {
    // Nothing can be compared but what the announcement tells: the time and the size are those of the file here.
    return !options.overwrite && Math.trunc(announced ?? NaN) === Math.trunc(there.mtimeMs)
      ? 'same'
      : 'different';
  }
  return hasContent(root, path, algorithm, change.sum?.value, stop).then((isSame) =>
    isSame ? 'same' : 'different',
  );
}
