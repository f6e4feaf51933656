import { PermanentError, RetryableError, messageOf } from '../../errors.js';
import { makeDirectoryInside, moveInside, removeInside } from '../../file/change.js';
import { flushEntry, flushFileInside } from '../../file/flush.js';
import type { Root } from '../../file/inside.js';
import { hardLinkInside, symlinkInside } from '../../file/link.js';
import { statInside } from '../../file/look.js';
import type { Assembly, BlockInHand, Fetched, Installed, Result, Target } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import { isReachable } from '../fetch/moved.js';
import { relativeTo } from '../place/target.js';

export interface InstallOptions {
  /** Links may point anywhere (`allow_links`). */
  readonly allowLinks: boolean;
  readonly directoryMode: number | undefined;
  /** Results must survive a power failure. */
  readonly flush: boolean;
}

/** Makes the change visible under its final name, in one step that cannot be seen half done. */
export function install(
  rootOf: (target: Target) => Root,
  options: InstallOptions,
  assemble: Assemble,
): Stage<Fetched, Gain> {
  return {
    name: 'install',
    run: (item, stop) => {
      const root = rootOf(item.target);
      const { assembly, block } = item;
      if (assembly !== undefined && block !== undefined)
        return assemble({ ...item, assembly, block }, root, stop);
      const gain = (result: Result): Gain => ({
        path: item.target.path,
        complete: !isKeptPart(item),
        result,
      });
      const work = options.flush ? flushed(item, root, options) : change(item, root, options);
      return work instanceof Promise ? work.then(gain) : gain(work);
    },
  };
}

async function flushed(item: Fetched, root: Root, options: InstallOptions): Promise<Result> {
  const result = await change(item, root, options);
  await flush(item, root);
  return result;
}

/** What installing adds to an item. */
export type Gain = Pick<
  Installed,
  'path' | 'complete' | 'gathered' | 'result' | 'endsAssembly' | 'whole' | 'isAway'
>;

/** Puts a block in its place, and makes the file of its blocks when it is the last one. */
export type Assemble = (
  item: Fetched & { readonly assembly: Assembly; readonly block: BlockInHand },
  root: Root,
  stop: AbortSignal,
) => Promise<Gain>;

/** A block that is kept as a file of its own is no whole file. */
const isKeptPart = ({ subject: { change } }: Fetched): boolean =>
  change.kind === 'write' && change.parts !== undefined && change.parts.method !== '1';

/** What was renamed into place has been flushed on its way. */
async function flush(item: Fetched, root: Root): Promise<void> {
  if (item.inflight !== undefined) return;
  const path = relativeTo(item.target);
  // Whoever brought what is present may have died before it was flushed.
  if (item.present) await flushFileInside(root, path);
  const { counterpart } = item;
  const others = counterpart?.root === item.target.root ? [relativeTo(counterpart)] : [];
  for (const changed of [path, ...others]) await flushEntry(root, changed);
}

function change(item: Fetched, root: Root, options: InstallOptions): Result | Promise<Result> {
  const path = relativeTo(item.target);
  const { change: wanted } = item.subject;
  switch (wanted.kind) {
    case 'write':
      return write(item, root, path, options);
    case 'remove':
      return remove(item, root, path, options);
    case 'link':
      symlinkInside(root, path, wanted.to, { anywhere: options.allowLinks });
      return { code: 201, text: 'linked' };
    case 'make-directory':
      makeDirectoryInside(root, path, options.directoryMode);
      return { code: 201, text: 'directory made' };
  }
}

function write(item: Fetched, root: Root, path: string, options: InstallOptions): Result | Promise<Result> {
  if (item.inflight !== undefined) {
    const work = item.inflight.install();
    return work === undefined ? item.result : work.then(() => item.result);
  }
  if (item.present || item.counterpart === undefined) return item.result;
  const from = relativeTo(item.counterpart);
  if (hardLinkInside(root, from, path, options.directoryMode)) return item.result;
  throw new RetryableError(`cannot link ${item.target.path}: ${item.counterpart.path} has gone meanwhile`);
}

/** Passes in which a directory that is not empty yet may become so: other instances remove what is in it. */
const PATIENT_PASSES = 3;

/**
 * A removal that names a new place keeps what is here under the new name, when nothing is there yet. One that may
 * have been late does not: what it would make may have been removed since, and is fetched where it has not.
 */
function remove(item: Fetched, root: Root, path: string, options: InstallOptions): Result {
  const { counterpart, subject } = item;
  if (subject.moved?.to !== undefined && !item.repeated && counterpart?.root === item.target.root) {
    const to = relativeTo(counterpart);
    const isFree = !to.startsWith(`${path}/`) && isReachable(root, to) && statInside(root, to) === undefined;
    if (isFree && moveInside(root, path, to, options.directoryMode)) return { code: 201, text: 'moved' };
  }
  try {
    removeInside(root, path);
  } catch (cause) {
    const mayEmpty = (item.retry?.tries ?? 0) < PATIENT_PASSES;
    if (mayEmpty || statInside(root, path)?.isDirectory() !== true) throw cause;
    throw new PermanentError(500, `remove failed: ${item.target.path}: ${messageOf(cause)}`, { cause });
  }
  return { code: 201, text: 'removed' };
}
