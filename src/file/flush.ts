import { closeSync, constants, fsync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { diskError } from './disk-error.js';
import { insideIfThere, type Directory, type Root } from './inside.js';
import { openInside } from './look.js';
import { splitPath } from './relative-path.js';

/*
 * What must survive the loss of power is flushed to the disk, and flushing is what costs: a disk confirms some hundred
 * flushes a second, however little there is to write. So those who wait for a directory are served together: while a
 * batch is under way the next one gathers, and a directory is flushed once for all names in it that have changed.
 */

const flushDescriptor = promisify(fsync);

interface Wish {
  readonly descriptor: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Gathers wishes; each descriptor of a batch is flushed once, after all wishes for it were uttered. */
function createBatches(): (descriptor: number) => Promise<void> {
  let gathering = new Map<number, Wish[]>();
  let isBusy = false;

  const serve = async (wishes: readonly Wish[]): Promise<void> => {
    const [first] = wishes;
    if (first === undefined) return;
    try {
      await flushDescriptor(first.descriptor);
      for (const { resolve } of wishes) resolve();
    } catch (error) {
      for (const { reject } of wishes) reject(error);
    }
  };
  const work = async (): Promise<void> => {
    isBusy = true;
    // Whatever else ends in this turn of the loop shall be part of the batch.
    await new Promise(setImmediate);
    while (gathering.size > 0) {
      const batch = gathering;
      gathering = new Map();
      await Promise.all([...batch.values()].map(serve));
    }
    isBusy = false;
  };

  return (descriptor) =>
    new Promise((resolve, reject) => {
      const wish = { descriptor, resolve, reject };
      const there = gathering.get(descriptor);
      if (there === undefined) gathering.set(descriptor, [wish]);
      else there.push(wish);
      if (!isBusy) void work();
    });
}

const flushNames = createBatches();

/**
 * Data and attributes of an open file are on the disk when this resolves. Throws system errors. Not in batches, where a
 * large file would hold up small ones: what can be shared between files, the system shares by itself.
 */
export const flushData = (descriptor: number): Promise<void> => flushDescriptor(descriptor);

/**
 * The names in a directory are on the disk when this resolves, and its own name and those above it, which may have
 * been made on the way. `elements` lead to it. Throws system errors.
 */
export async function flushDirectory(
  root: Root,
  place: Directory,
  elements: readonly string[],
): Promise<void> {
  if (place.descriptor === undefined) return;
  await flushNames(place.descriptor);
  if (place.isAnchored()) return;
  if (elements.length === 0) await flushAbove(place.path);
  else {
    const above = elements.slice(0, -1);
    const parent = root.enter(above);
    try {
      await flushDirectory(root, parent, above);
    } finally {
      parent.release();
    }
  }
  place.anchor();
}

/**
 * The same for the directory that holds `relPath`, whose name was made, changed or removed. A directory that is not
 * there any more holds nothing to be flushed. Throws as `inside` does.
 */
export async function flushEntry(root: Root, relPath: string): Promise<void> {
  const { directories } = splitPath(relPath);
  const place = insideIfThere(root, relPath, 'flush', () => root.enter(directories));
  if (place === undefined) return;
  try {
    await flushDirectory(root, place, directories);
  } catch (error) {
    throw diskError(error, `flush ${place.path}`);
  } finally {
    place.release();
  }
}

/** Data and attributes of a regular file below the root are on the disk when this resolves. Throws as `inside` does. */
export async function flushFileInside(root: Root, relPath: string): Promise<void> {
  const file = await openInside(root, relPath);
  try {
    await flushData(file.fd);
  } catch (error) {
    throw diskError(error, `flush ${root.absolute(relPath)}`);
  } finally {
    await file.close();
  }
}

/** The same, and its name with it: whoever has written it may have died before. */
export async function flushWritten(root: Root, relPath: string): Promise<void> {
  await flushFileInside(root, relPath);
  await flushEntry(root, relPath);
}

/** The root itself may have been made just now, and directories above it. */
async function flushAbove(path: string): Promise<void> {
  const above = dirname(path);
  if (above === path) return;
  let descriptor: number;
  try {
    descriptor = openSync(above, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    // Not ours to read: then we have made no name in it.
    return;
  }
  try {
    await flushDescriptor(descriptor);
  } finally {
    closeSync(descriptor);
  }
  await flushAbove(above);
}
