import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError, messageOf } from '../errors.js';
import { type Journal, openJournal } from './engine/journal.js';
import { openLevelEngine } from './engine/level-engine.js';
import { syncWayTo } from './engine/sync-directory.js';
import { openOwnedStore, type OwnedStore, type OwnedStoreOptions } from './owned-store.js';

/** Makes a directory that only we can read; one that exists is closed to others. @throws FatalError */
export async function makePrivateDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
  } catch (error) {
    throw new FatalError(
      `cannot make the state directory ${directory}: ${messageOf(error)}. It must be ours and writable.`,
      { cause: error },
    );
  }
}

/** The directory survives a power failure, and with it what is flushed in it. @throws FatalError */
function anchor(directory: string): void {
  try {
    syncWayTo(directory);
  } catch (error) {
    throw new FatalError(`cannot flush the way to ${directory}: ${messageOf(error)}. Check the disk.`, {
      cause: error,
    });
  }
}

/**
 * Opens the store in `directory` and makes this process its owner, until the process ends or closes it. Answers
 * undefined when another process has it.
 *
 * @throws FatalError when its files cannot be made or read.
 */
export async function openLevelStore(
  directory: string,
  options: OwnedStoreOptions = {},
): Promise<OwnedStore | undefined> {
  await makePrivateDirectory(directory);
  if (options.flush === true) anchor(directory);
  const engine = await openLevelEngine(directory, options.flush ?? false);
  if (engine === undefined) return undefined;
  let journal: Journal | undefined;
  try {
    journal = openJournal(join(directory, 'journal'), options.flush ?? false);
    return await openOwnedStore(engine, options, journal);
  } catch (error) {
    journal?.close();
    await engine.close();
    throw error;
  }
}
