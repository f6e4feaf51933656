import { PermanentError } from '../../errors.js';
import { finishAssembled } from '../../file/assembling.js';
import { removeInside } from '../../file/change.js';
import { flushEntry, flushFileInside } from '../../file/flush.js';
import type { Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import { isSameFile } from '../../file/same-file.js';
import type { Assembly, BlockInHand, Fetched, Gathered } from '../../flow/item.js';
import { blockLength, blockOf, blockOffset, rangeOf } from '../../message/parts.js';
import { parseFileTime } from '../../message/pub-time.js';
import type { Assemblies } from '../../store/store.js';
import type { Transports } from '../../transport/transport.js';
import { siblingOf, sumOfLedger } from './announced-block.js';
import { attributesOf } from '../fetch/attributes.js';
import { fetchBlock } from '../fetch/fetch-block.js';
import type { FetchOptions } from '../fetch/fetch-job.js';
import type { Assemble } from './install.js';
import { hasRange } from '../fetch/local-block.js';
import { relativeTo } from '../place/target.js';

type Item = Fetched & { readonly assembly: Assembly; readonly block: BlockInHand };

/**
 * Counts a block as being in its place. Whoever is told that it was the last one makes the file: looks again at what a
 * dead process may have spoilt, gives the file its size and attributes, and renames it over the target. Dead in the
 * middle of that, it is done by whoever gets the message next.
 */
export function assembler(assemblies: Assemblies, transports: Transports, options: FetchOptions): Assemble {
  return async (item, root, stop) => {
    const { assembly, block, target, result } = item;
    const gathered =
      block.placed ?? (await assemblies.placed(target.path, assembly.generation.key, assembly.parts.number));
    const { path } = target;
    if (!gathered.complete) return { path, gathered, complete: false, result };
    await mendSuspects(item, gathered, root, transports, options, stop);
    const end = await finish(item, gathered, root, options, stop);
    switch (end) {
      case 'lost':
        await assemblies.finished(target.path, assembly.generation.key);
        throw new PermanentError(
          499,
          `${root.absolute(block.file)} was removed while ${target.path} was put together in it: it has to be announced again`,
        );
      case 'same':
        return {
          path,
          gathered,
          complete: false,
          endsAssembly: true,
          result: { code: 304, text: 'Not modified' },
        };
      case 'there':
        return {
          path,
          gathered,
          complete: true,
          endsAssembly: true,
          result: { code: 201, text: 'Downloaded, redelivered' },
        };
      case 'done':
        return { path, gathered, complete: true, endsAssembly: true, result };
    }
  };
}

/** Blocks that somebody had in hand who was taken for dead: what has not its sum any more is fetched again. */
async function mendSuspects(
  item: Item,
  { suspects }: Gathered,
  root: Root,
  transports: Transports,
  options: FetchOptions,
  stop: AbortSignal,
): Promise<void> {
  const { assembly, block, subject } = item;
  // The one before us may have died when the file had its name already.
  if (suspects.length === 0 || statInside(root, block.file) === undefined) return;
  for (const suspect of suspects) {
    const parts = blockOf(assembly.parts, suspect.number);
    const sum = sumOfLedger(suspect.sum);
    const range = { offset: blockOffset(parts), length: blockLength(parts), stop };
    if (sum !== undefined && (await hasRange(root, block.file, { ...range, sum }))) continue;
    const wanted = siblingOf(subject, assembly.parts, suspect.number, sum);
    const job = {
      item: { ...item, subject: wanted },
      root,
      options,
      transports,
      sum,
      size: range.length,
      range: rangeOf(parts),
      lastAttempt: options.attempts,
      parts,
      file: block.file,
    };
    await fetchBlock(job, stop);
  }
}

type End =
  /** The file has its name. */
  | 'done'
  /** It had it before us. */
  | 'there'
  /** What stands at the target is the same file to the last byte. */
  | 'same'
  /** The blocks are gone. */
  | 'lost';

async function finish(
  item: Item,
  { size }: Gathered,
  root: Root,
  options: FetchOptions,
  stop: AbortSignal,
): Promise<End> {
  const { assembly, block, target, subject } = item;
  const own = relativeTo(target);
  const attributes = attributesOf(subject, options);
  const whole = { ...attributes, size, flush: options.flush, directoryMode: options.directoryMode };
  if (assembly.storage === 'inplace') {
    await finishAssembled(root, own, own, whole);
    return 'done';
  }
  if (statInside(root, block.file) === undefined) {
    if (!isInstalled(item, size, root, options)) return 'lost';
    // Whoever renamed it may have died before that was flushed.
    if (options.flush) await flushEntry(root, own);
    return 'there';
  }
  // Only where this block was found in it can the file be the one that stands there.
  const mayBeSame = item.present && block.placed === undefined && !item.repeated;
  if (mayBeSame && (await isSameFile(root, block.file, own, size, stop))) {
    if (options.flush) await flushFileInside(root, own);
    removeInside(root, block.file);
    return 'same';
  }
  await finishAssembled(root, block.file, own, whole);
  return 'done';
}

/** Whether the target is what the blocks would have made: the one before us died behind the renaming. */
function isInstalled({ target, subject }: Item, size: number, root: Root, options: FetchOptions): boolean {
  const there = statInside(root, relativeTo(target));
  if (there?.isFile() !== true || there.size !== size) return false;
  const announced = options.preserveTime ? parseFileTime(subject.headers.get('mtime') ?? '') : undefined;
  return announced === undefined || Math.trunc(announced) === Math.trunc(there.mtimeMs);
}
