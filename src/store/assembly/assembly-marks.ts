import {
  endOf,
  keyOf,
  nameOf,
  nothing,
  numberKey,
  table,
  type Engine,
  hashLength,
} from '../engine/engine.js';

/**
 * Which blocks are in hand, on disk, so that those in the hand of somebody who died are known: whoever is taken for dead
 * may only have been suspended, and write late. These are suspect until the file is installed or given up.
 */
export interface BlockMarks {
  readonly take: (path: Buffer, number: number) => void;
  readonly leave: (path: Buffer, number: number) => void;
  /** Who had it in hand is gone. */
  readonly suspect: (path: Buffer, number: number) => void;
  /** Numbers, in rising order. */
  readonly suspects: (path: Buffer) => readonly number[];
  /** Of a path of which nothing is in hand. */
  readonly clear: (path: Buffer) => void;
}

const keyFor = (path: Buffer, number: number): Buffer => keyOf(table.assemblyMark, path, numberKey(number));

/** What earlier owners have left in hand is suspect now. */
export async function openMarks(engine: Engine): Promise<BlockMarks> {
  const byPath = new Map<string, Set<number>>();
  const suspect = (path: Buffer, number: number): void => {
    const name = nameOf(path);
    const known = byPath.get(name);
    if (known === undefined) byPath.set(name, new Set([number]));
    else known.add(number);
  };
  const all = Buffer.from([table.assemblyMark]);
  for await (const [key] of engine.scan(all, endOf(all)))
    suspect(key.subarray(1, 1 + hashLength), key.readUIntBE(1 + hashLength, 6));

  return {
    take: (path, number) => engine.put(keyFor(path, number), nothing),
    leave: (path, number) => {
      if (byPath.get(nameOf(path))?.has(number) !== true) engine.remove(keyFor(path, number));
    },
    suspect,
    suspects: (path) => [...(byPath.get(nameOf(path)) ?? [])].sort((one, other) => one - other),
    clear: (path) => {
      for (const number of byPath.get(nameOf(path)) ?? []) engine.remove(keyFor(path, number));
      byPath.delete(nameOf(path));
    },
  };
}
