import { endOf, hashLength, type Engine } from './engine.js';

/**
 * Tells without asking the engine that a table has nothing for a hash: most questions about a path are about one that
 * nobody has ever noted, and each would be a look-up in the files. Never wrong when it says no.
 */
export interface MayHave {
  readonly note: (hash: Buffer) => void;
  readonly mayHave: (hash: Buffer) => boolean;
}

/** Bits: a mebibyte of them tells some hundred thousand hashes apart, and takes no memory before the first is noted. */
const size = 2 ** 23;

/** Knows all of a table that is empty now. */
export function knownInFull(): MayHave {
  let bits: Uint8Array | undefined;
  const places = (hash: Buffer): readonly [number, number] => [
    hash.readUInt32BE(0) % size,
    hash.readUInt32BE(4) % size,
  ];
  const isSet = (place: number): boolean => ((bits?.[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0;
  return {
    note: (hash) => {
      const table = (bits ??= new Uint8Array(size / 8));
      for (const place of places(hash)) table[place >>> 3] = (table[place >>> 3] ?? 0) | (1 << (place & 7));
    },
    mayHave: (hash) => {
      if (bits === undefined) return false;
      const [one, other] = places(hash);
      return isSet(one) && isSet(other);
    },
  };
}

/** For a table that may hold anything. */
export const unknown: MayHave = { note: () => undefined, mayHave: () => true };

/** Knows a table in full when nothing is in it yet. */
export async function mayHaveOf(engine: Engine, prefix: Buffer): Promise<MayHave> {
  for await (const entry of engine.scan(prefix, endOf(prefix))) {
    void entry;
    return unknown;
  }
  return knownInFull();
}

/**
 * Knows a table whose keys are `prefix`, then a hash. What is in it already is read beside the work, beginning with
 * the first question; until that is through, it may have anything.
 */
export async function learningOf(engine: Engine, prefix: Buffer): Promise<MayHave> {
  const known = knownInFull();
  let isLearnt = (await mayHaveOf(engine, prefix)) !== unknown;
  let isLearning = isLearnt;
  const learn = async (): Promise<void> => {
    isLearning = true;
    for await (const [key] of engine.scan(prefix, endOf(prefix)))
      known.note(key.subarray(prefix.length, prefix.length + hashLength));
    isLearnt = true;
  };
  return {
    note: known.note,
    mayHave: (hash) => {
      // It ends early when the store is closed, or cannot be read: then every question goes to the files.
      if (!isLearning) learn().catch(() => undefined);
      return !isLearnt || known.mayHave(hash);
    },
  };
}
