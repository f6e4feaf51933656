import { ClassicLevel } from 'classic-level';
import { FatalError, messageOf, systemCode } from '../../errors.js';
import { deferred, type Deferred } from '../deferred.js';
import { namedKey, nameOf, type Engine } from './engine.js';

type Level = ClassicLevel<Buffer, Buffer>;

/** Changes that go to disk together: by the name of the key; undefined removes. */
interface Batch {
  readonly changes: Map<string, Buffer | undefined>;
  readonly done: Deferred<undefined>;
}

const newBatch = (): Batch => ({ changes: new Map(), done: deferred<undefined>() });

/** Keeps blocks read lately; the memory of a store is about this, twice the write buffer, and the batches. */
const cacheSize = 4 * 1024 * 1024;
/**
 * Files that are open at once, of 2 MiB each, whose pages count as memory of ours where the kernel has room to keep them.
 * LevelDB takes no fewer.
 */
const maxOpenFiles = 74;
/** Entries that a scan reads at once: few at first, because most look only at the head. */
const scanSteps = { first: 8, most: 256 };

async function* scanLevel(
  level: Level,
  from: Uint8Array,
  to: Uint8Array,
  reverse = false,
): AsyncGenerator<[Buffer, Buffer]> {
  const iterator = level.iterator({ gte: Buffer.from(from), lt: Buffer.from(to), reverse });
  try {
    for (let step = scanSteps.first; ; step = Math.min(2 * step, scanSteps.most)) {
      const entries = await iterator.nextv(step);
      if (entries.length === 0) return;
      yield* entries;
    }
  } finally {
    await iterator.close();
  }
}

const operationOf = ([key, value]: [string, Buffer | undefined]) =>
  value === undefined
    ? { type: 'del' as const, key: namedKey(key) }
    : { type: 'put' as const, key: namedKey(key), value };

/**
 * One batch is being written, one gathers what changes meanwhile: that is the group commit. After a failed
 * write the engine refuses everything, because LevelDB does so too until it is opened again.
 */
function writer(level: Level, flush: boolean) {
  let gathering = newBatch();
  let writing: Batch | undefined;
  let scheduled = false;
  // Nothing where nothing is asked for: the library copies it into every operation, and that is slow unless it is empty.
  const options = flush ? { sync: true } : {};
  const failed = new AbortController();
  const refuseIfFailed = (): void => failed.signal.throwIfAborted();

  const write = async (): Promise<void> => {
    scheduled = false;
    while (gathering.changes.size > 0) {
      const batch = gathering;
      writing = batch;
      gathering = newBatch();
      try {
        refuseIfFailed();
        await level.batch([...batch.changes].map(operationOf), options);
        batch.done.resolve(undefined);
      } catch (error) {
        if (!failed.signal.aborted) failed.abort(unwritable(level.location, error));
        batch.done.reject(failed.signal.reason);
      }
      writing = undefined;
    }
  };

  return {
    look: (key: string): { readonly value: Buffer | undefined } | undefined => {
      if (gathering.changes.has(key)) return { value: gathering.changes.get(key) };
      if (writing?.changes.has(key) === true) return { value: writing.changes.get(key) };
      return undefined;
    },
    change: (key: string, value: Buffer | undefined): void => {
      gathering.changes.set(key, value);
      if (scheduled || writing !== undefined) return;
      scheduled = true;
      setImmediate(() => void write());
    },
    written: async (): Promise<void> => {
      refuseIfFailed();
      if (gathering.changes.size > 0) await gathering.done.promise;
      else await writing?.done.promise;
    },
    failed: failed.signal,
  };
}

const unwritable = (directory: string, cause: unknown): FatalError =>
  new FatalError(
    `cannot write the store in ${directory}: ${messageOf(cause)}. Check free space and permissions.`,
    { cause },
  );

/**
 * Opens LevelDB in `directory`, which must exist. Answers undefined when another process has it open: LevelDB
 * holds a lock of the kernel on it, which ends with the process, however that dies.
 *
 * A write is in the kernel's hands when `written` resolves, so it outlives any process; with `flush` it is on the
 * disk. @throws FatalError when the files cannot be opened.
 */
export async function openLevelEngine(directory: string, flush: boolean): Promise<Engine | undefined> {
  const level: Level = new ClassicLevel<Buffer, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    cacheSize,
    maxOpenFiles,
  });
  try {
    await level.open();
  } catch (error) {
    if (error instanceof Error && systemCode(error.cause) === 'LEVEL_LOCKED') return undefined;
    throw new FatalError(
      `cannot open the store in ${directory}: ${messageOf(error instanceof Error ? (error.cause ?? error) : error)}. ` +
        'Check free space and permissions; if its files are damaged, move the directory aside: what it remembered of ' +
        'duplicates and failed messages is lost then.',
      { cause: error },
    );
  }
  const writes = writer(level, flush);
  return {
    get: (key) => {
      const fresh = writes.look(nameOf(key));
      return fresh === undefined ? level.getSync(Buffer.from(key)) : fresh.value;
    },
    put: (key, value) => writes.change(nameOf(key), Buffer.from(value)),
    remove: (key) => writes.change(nameOf(key), undefined),
    written: writes.written,
    failed: writes.failed,
    scan: (from, to, backwards) => scanLevel(level, from, to, backwards),
    clear: async (from, to) => level.clear({ gte: Buffer.from(from), lt: Buffer.from(to) }),
    close: async () => {
      try {
        await writes.written();
      } finally {
        await level.close();
      }
    },
  };
}
