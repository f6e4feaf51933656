import { openMemoryEngine } from './engine/memory-engine.js';
import { openOwnedStore, type OwnedStore, type OwnedStoreOptions } from './owned-store.js';

/** A store that forgets everything when it is closed: for dry runs, and for tests of what uses a store. */
export const createMemoryStore = async (options: OwnedStoreOptions = {}): Promise<OwnedStore> =>
  openOwnedStore(openMemoryEngine(), options);
