import { setTimeout as sleep } from 'node:timers/promises';
import { PermanentError } from '../../errors.js';
import { type Trees, countBytes } from '../../file/count-bytes.js';
import type { Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import type { Charge, Compared, Installed, Taken, Target } from '../../flow/item.js';
import { type Settler, type Stage, pass } from '../../flow/stage.js';
import { type Parts, blockLength, fileSize } from '../../message/parts.js';
import type { Usage } from '../../store/usage.js';
import { relativeTo } from '../place/target.js';

export interface QuotaOptions {
  /** Bytes that each source may keep. */
  readonly limits: ReadonlyMap<string, number>;
  readonly usage: Usage;
  readonly rootOf: (target: Target) => Root;
  /** Where the files of a source are. */
  readonly trees: (source: string) => readonly Trees[];
  readonly warn: (text: string) => void;
}

/** Milliseconds after which all is counted anew; and after a start, which others may have made with us. */
const COUNT_EVERY = 3_600_000;
const AT_START = 60_000;

/** Milliseconds that the first file waits for the first count: a small tree is known then. */
const PATIENCE = 10_000;

const bytesAt = (rootOf: QuotaOptions['rootOf'], targets: readonly Target[]): number => {
  let bytes = 0;
  for (const target of targets) {
    const found = statInside(rootOf(target), relativeTo(target));
    if (found?.isFile() === true) bytes += found.size;
  }
  return bytes;
};

const touched = (target: Target, counterpart: Target | undefined): readonly Target[] =>
  counterpart === undefined ? [target] : [target, counterpart];

/**
 * Refuses (403) what would give a source more than its quota, before anything is fetched; counts what it has at the
 * start and every hour, in the background where that takes long.
 */
export function quota(options: QuotaOptions): Stage<Compared, { readonly charge?: Charge }> {
  const { limits, usage, rootOf } = options;
  const ended = new AbortController();
  let counting: Promise<void> = Promise.resolve();
  const countAll = async (age: number): Promise<void> => {
    for (const source of limits.keys()) {
      if (ended.signal.aborted || !(await usage.begin(source, age))) continue;
      try {
        const bytes = await countBytes(options.trees(source), ended.signal);
        if (!ended.signal.aborted) await usage.counted(source, bytes);
      } catch (thrown) {
        await usage.uncounted(source);
        throw thrown;
      }
    }
  };
  const inBackground = async (age: number): Promise<void> => {
    counting = counting
      .then(() => countAll(age))
      .catch((thrown: unknown) => options.warn(`quota: the files could not be counted: ${String(thrown)}`));
  };
  return {
    name: 'quota',
    start: async () => {
      await inBackground(AT_START);
      await Promise.race([counting, sleep(PATIENCE, undefined, { ref: false })]);
    },
    housekeep: () => inBackground(COUNT_EVERY),
    stop: async () => {
      ended.abort();
      await counting;
    },
    run: async ({ subject, target, counterpart, assembly, present }) => {
      const source = subject.headers.get('source') ?? '';
      const limit = limits.get(source);
      if (limit === undefined || present) return pass;
      const before = bytesAt(rootOf, touched(target, counterpart));
      const { change } = subject;
      const parts = change.kind === 'write' ? change.parts : undefined;
      if (change.kind !== 'write') return { charge: { source, bytes: 0, before } };
      const size = sizeOf(parts, assembly !== undefined, limit);
      const bytes = assembly === undefined ? Math.max(0, size - before) : size;
      const { isTaken, used } = await usage.take(source, bytes, limit);
      if (isTaken && (parts !== undefined || used < limit)) return { charge: { source, bytes, before } };
      if (isTaken) await usage.settle(source, bytes, 0);
      throw new PermanentError(
        403,
        `Forbidden: quota of ${source}: ${used} of ${limit} bytes are used, this file has ${parts === undefined ? 'an unknown size' : size}`,
      );
    },
  };
}

/** A block adds itself; but one of a file that is too large as a whole is not begun. */
function sizeOf(parts: Parts | undefined, isAssembled: boolean, limit: number): number {
  if (parts === undefined) return 0;
  return isAssembled && fileSize(parts) > limit ? fileSize(parts) : blockLength(parts);
}

/** Counts what an item has changed, however it ended; its paths must still be ours. */
export function charge(
  usage: Usage,
  rootOf: QuotaOptions['rootOf'],
): Settler<
  Taken &
    Partial<Pick<Compared, 'target' | 'counterpart' | 'assembly'>> &
    Partial<Pick<Installed, 'endsAssembly'>> & { readonly charge?: Charge }
> {
  return {
    name: 'charge',
    settle: ({ target, counterpart, assembly, endsAssembly, charge: made }) => {
      if (made === undefined || target === undefined) return undefined;
      // A file that is put together counts when it is there; until then each round of counting finds its blocks.
      if (assembly !== undefined && endsAssembly !== true) return usage.settle(made.source, made.bytes, 0);
      const change = bytesAt(rootOf, touched(target, counterpart)) - made.before;
      return usage.settle(made.source, made.bytes, change);
    },
  };
}
