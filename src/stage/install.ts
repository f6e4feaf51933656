import { PermanentError, messageOf } from '../errors.js';
import { makeDirectoryInside, moveInside, removeInside } from '../file/change.js';
import type { Root } from '../file/inside.js';
import { hardLinkInside, symlinkInside } from '../file/link.js';
import { statInside } from '../file/look.js';
import type { Fetched, Installed, Result, Target } from '../flow/item.js';
import type { Stage } from '../flow/stage.js';
import { relativeTo } from './target.js';

export interface InstallOptions {
  /** Links may point anywhere (`allow_links`). */
  readonly allowLinks: boolean;
  readonly directoryMode: number | undefined;
}

/** Makes the change visible under its final name, in one step that cannot be seen half done. */
export function install(
  rootOf: (target: Target) => Root,
  options: InstallOptions,
): Stage<Fetched, Pick<Installed, 'path' | 'complete' | 'result'>> {
  return {
    name: 'install',
    run: async (item) => {
      const result = await change(item, rootOf(item.target), options);
      return { path: item.target.path, complete: true, result };
    },
  };
}

async function change(item: Fetched, root: Root, options: InstallOptions): Promise<Result> {
  const path = relativeTo(item.target);
  const { change: wanted } = item.subject;
  switch (wanted.kind) {
    case 'write':
      return write(item, root, path);
    case 'remove':
      return remove(item, root, path);
    case 'link':
      symlinkInside(root, path, wanted.to, { anywhere: options.allowLinks });
      return { code: 201, text: 'linked' };
    case 'make-directory':
      makeDirectoryInside(root, path, options.directoryMode);
      return { code: 201, text: 'directory made' };
  }
}

async function write(item: Fetched, root: Root, path: string): Promise<Result> {
  if (item.inflight !== undefined) {
    await item.inflight.install();
    return item.result;
  }
  if (item.present || item.counterpart === undefined) return item.result;
  hardLinkInside(root, relativeTo(item.counterpart), path);
  return item.result;
}

/** A removal that names a new place keeps what is here under the new name, when nothing is there yet. */
function remove(item: Fetched, root: Root, path: string): Result {
  const { counterpart, subject } = item;
  if (subject.moved?.to !== undefined && counterpart?.root === item.target.root) {
    const to = relativeTo(counterpart);
    if (statInside(root, to) === undefined && moveInside(root, path, to)) return { code: 201, text: 'moved' };
  }
  try {
    removeInside(root, path);
  } catch (cause) {
    if (statInside(root, path)?.isDirectory() !== true) throw cause;
    throw new PermanentError(500, `remove failed: ${item.target.path}: ${messageOf(cause)}`, { cause });
  }
  return { code: 201, text: 'removed' };
}
