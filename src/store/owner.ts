import { randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { hashOf } from './engine.js';
import { makePrivateDirectory, openLevelStore } from './level-store.js';
import type { OwnedStore, OwnedStoreOptions } from './owned-store.js';
import { publishOwner, withdrawOwner } from './owner-file.js';
import { serve, type Handlers } from './server.js';
import type { Store } from './store.js';

export interface OwnerOptions extends OwnedStoreOptions {
  readonly handlers?: Handlers;
}

/** This process owns a state directory. */
export interface Owner {
  /** The store as the owner itself uses it; its `close` does not end the ownership. */
  readonly store: Store;
  readonly owned: OwnedStore;
  /** Path of the socket on which the others are answered. */
  readonly socket: string;
  /** Aborted when the store cannot be written any more: see `OwnedStore.failed`. */
  readonly failed: AbortSignal;
  /** Ends the ownership: the clients are cut off, everything is written, the files are closed; they are
   * even when it rejects because the store had failed. */
  readonly close: () => Promise<void>;
}

/** What fits in the address of a socket on every system we know (104 bytes with the final zero on some). */
const longestSocket = 103;

async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

/** Beside the state when the path is short enough, else in a private directory with a short name. */
async function socketPath(directory: string): Promise<string> {
  const near = join(directory, 'owner.sock');
  if (Buffer.byteLength(near) <= longestSocket) return near;
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? '';
  const parent = isAbsolute(runtime) ? runtime : tmpdir();
  const named = join(parent, `sarracenia-${hashOf(directory).toString('hex')}`);
  await mkdir(named, { mode: 0o700 }).catch(() => undefined);
  // Somebody else may have made it first, in a directory where everybody writes: then take a name nobody foresaw.
  const private_ = (await isOurs(named)) ? named : await mkdtemp(join(parent, 'sarracenia-'));
  return join(private_, 'owner.sock');
}

/**
 * Makes this process the owner of a state directory, unless another process is: then undefined. Exactly one of
 * any number of contenders succeeds, because LevelDB locks its directory in the kernel, where a lock cannot
 * outlive its process; so there is no stale lock to be judged, and no moment between judging and taking over.
 * `owner.json` only tells the others where the owner answers.
 *
 * @throws FatalError when the directory or the socket cannot be used.
 */
export async function becomeOwner(directory: string, options: OwnerOptions = {}): Promise<Owner | undefined> {
  await makePrivateDirectory(directory);
  const owned = await openLevelStore(join(directory, 'store'), options);
  if (owned === undefined) return undefined;
  try {
    const token = randomBytes(16).toString('hex');
    const socket = await socketPath(directory);
    const server = await serve({ ...options, socket, token, owned });
    await publishOwner(directory, socket, token);
    const close = async (): Promise<void> => {
      // While the files are still ours: a successor must not find its own announcement removed.
      await withdrawOwner(directory);
      await server.close();
      await owned.close();
    };
    return { store: owned.join('the owner'), owned, socket, failed: owned.failed, close };
  } catch (error) {
    await owned.close();
    throw error;
  }
}
