import { createMemoryStore } from '../../src/store/memory-store.js';
import { openLevelStore } from '../../src/store/level-store.js';
import type { OwnedStore } from '../../src/store/owned-store.js';
import { connectStore } from '../../src/store/owner/remote-store.js';
import type { Store } from '../../src/store/store.js';
import type { Compiled } from '../store/compiled.js';

/** A store under test: clients join it, its clock can be moved, and it tells what was abandoned. */
export interface Subject {
  readonly join: () => Promise<Store>;
  readonly advance: (ms: number) => Promise<void>;
  readonly abandoned: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

export const retryTtl = 3_600_000;
async function subjectOf(
  open: (options: object) => Promise<OwnedStore | undefined>,
  abandoned: string[] = [],
): Promise<Subject> {
  let offset = 0;
  const owned = await open({
    now: () => Date.now() + offset,
    retryTtl,
    abandoned: async (leftover: string) => void abandoned.push(leftover),
  });
  if (owned === undefined) throw new Error('locked');
  return {
    join: async () => owned.join('a client'),
    advance: async (ms) => {
      offset += ms;
      await owned.expire();
    },
    abandoned: async () => abandoned,
    close: async () => owned.close(),
  };
}

async function socketSubject({ directory, programs }: Place): Promise<Subject> {
  const owner = programs.start('own', directory, String(retryTtl));
  await owner.line('owner');
  const control = await connectStore(directory);
  return {
    join: async () => connectStore(directory),
    advance: async (ms) => void (await control.ask('advance', ms)),
    abandoned: async () => (await control.ask('abandoned', null)) as readonly string[],
    close: async () => {
      await control.close();
      await owner.kill();
    },
  };
}

/** Where stores may be, and the programs that own one. */
export interface Place {
  readonly directory: string;
  readonly programs: Compiled;
}

export const subjects: Readonly<Record<string, (place: Place) => Promise<Subject>>> = {
  'in memory': () => subjectOf(createMemoryStore),
  'on LevelDB': ({ directory }) => subjectOf((options) => openLevelStore(directory, options)),
  'on LevelDB, flushed': ({ directory }) =>
    subjectOf((options) => openLevelStore(directory, { ...options, flush: true })),
  'behind the socket of another process': socketSubject,
};

/** Whether a promise is settled by what has happened so far: an answer to a later question has arrived. */
export async function isWaiting(promise: Promise<unknown>, store: Store): Promise<boolean> {
  let settled = false;
  const settle = (): void => void (settled = true);
  promise.then(settle, settle);
  await store.retries.size();
  await new Promise((resolve) => setImmediate(resolve));
  return !settled;
}
