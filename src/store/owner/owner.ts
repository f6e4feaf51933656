import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError, messageOf } from '../../errors.js';
import { reachOwner } from './ask.js';
import { makePrivateDirectory, openLevelStore } from '../level-store.js';
import type { OwnedStore, OwnedStoreOptions } from '../owned-store.js';
import { publishOwner, withdrawOwner } from './owner-file.js';
import { serve, type Handlers } from './server.js';
import { socketPath } from './socket-path.js';
import type { Store } from '../store.js';

export interface OwnerOptions extends OwnedStoreOptions {
  readonly handlers?: Handlers;
  /** This process does other work besides: see `OwnerInfo.shared`. */
  readonly shared?: boolean;
}

/** This process owns a state directory. After `resume` its store is another one: ask for it each time. */
export interface Owner {
  /** The store as the owner itself uses it; its `close` does not end the ownership. */
  readonly store: Store;
  readonly owned: OwnedStore;
  /** Path of the socket on which the others are answered. */
  readonly socket: string;
  /** Aborted when the store cannot be written any more: see `OwnedStore.failed`. */
  readonly failed: AbortSignal;
  /**
   * For a store that has failed: cuts the clients off and closes the files. What the handlers answer is answered on;
   * whoever wants the store is refused.
   */
  readonly suspend: () => Promise<void>;
  /** Opens the files again. @throws FatalError when they still cannot be written, or another process has them. */
  readonly resume: () => Promise<void>;
  /** Ends the ownership: the clients are cut off, everything is written, the files are closed; they are
   * even when it rejects because the store had failed. */
  readonly close: () => Promise<void>;
}

/** Whether a process that has suspended its store, and so holds no lock, goes on with it as soon as it can. */
async function isSuspended(directory: string): Promise<boolean> {
  try {
    const link = await reachOwner(directory);
    link?.end();
    return link !== undefined;
  } catch (error) {
    // It lives and is silent: for us to take its place it would have to end.
    void error;
    return true;
  }
}

/**
 * Makes this process the owner of a state directory, unless another process is: then undefined. Exactly one of
 * any number of contenders succeeds, because LevelDB locks its directory in the kernel, where a lock cannot
 * outlive its process; so there is no stale lock to be judged, and no moment between judging and taking over.
 * `owner.json` tells the others where the owner answers; one that answers although nobody holds the lock is suspended.
 *
 * @throws FatalError when the directory or the socket cannot be used.
 */
export async function becomeOwner(directory: string, options: OwnerOptions = {}): Promise<Owner | undefined> {
  await makePrivateDirectory(directory);
  const files = join(directory, 'store');
  const first = await openLevelStore(files, options);
  if (first === undefined) return undefined;
  if (await isSuspended(directory)) {
    await first.close();
    return undefined;
  }
  let owned = first;
  let store = owned.join('the owner');
  let why: FatalError | undefined;
  const joinOwned: OwnedStore['join'] = (name) => {
    if (why !== undefined) throw why;
    return owned.join(name);
  };
  try {
    const token = randomBytes(16).toString('hex');
    const socket = await socketPath(directory);
    const handlers = { ...usageHandlers(() => owned.usage), ...options.handlers };
    const server = await serve({ ...options, handlers, socket, token, owned: { join: joinOwned } });
    await publishOwner(directory, socket, token, options.shared);
    return {
      get store() {
        return store;
      },
      get owned() {
        return owned;
      },
      get failed() {
        return owned.failed;
      },
      socket,
      suspend: async () => {
        const { reason } = owned.failed as { readonly reason: unknown };
        why = reason instanceof FatalError ? reason : new FatalError(`the store in ${files} is suspended`);
        await server.cut();
        // It rejects with what we know already.
        await owned.close().catch(() => undefined);
      },
      resume: async () => {
        await probe(directory);
        const next = await openLevelStore(files, options);
        if (next === undefined) throw new FatalError(`another process has taken the store in ${files}`);
        owned = next;
        store = owned.join('the owner');
        why = undefined;
      },
      close: async () => {
        // While the files are still ours: a successor must not find its own announcement removed.
        await withdrawOwner(directory);
        await server.close();
        // Closed already where it is suspended.
        if (why === undefined) await owned.close();
      },
    };
  } catch (error) {
    await owned.close();
    throw error;
  }
}

/** What sources keep, for who looks after the pump. */
const usageHandlers = (usage: () => OwnedStore['usage']): Handlers => ({
  usage: async (sources) => usage().look(Array.isArray(sources) ? sources.map(String) : []),
  recount: async () => {
    usage().recount();
    return { recounting: true };
  },
});

/** The store asks for so much at once; opening it with less would only make it fail again. */
const ROOM = 1024 * 1024;

/** Writes for a trial, because a file system may be full in ways that it does not tell beforehand. @throws FatalError */
async function probe(directory: string): Promise<void> {
  const file = join(directory, `probe.${process.pid}.tmp`);
  try {
    await writeFile(file, Buffer.alloc(ROOM), { mode: 0o600 });
  } catch (cause) {
    throw new FatalError(`cannot write in ${directory}: ${messageOf(cause)}`, { cause });
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}
