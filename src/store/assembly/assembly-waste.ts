import { blocksOf } from './assembly-record.js';
import { endOf, hashLength, keyOf, nameOf, namedKey, table, type Engine } from '../engine/engine.js';

/** What is left of generations that were given up, until it is cleared away: noted first, so that no crash forgets it. */
export interface Waste {
  /** To be written with whatever makes it waste. */
  readonly note: (path: Buffer, version: string, leftover: string) => void;
  /** Clears the file away, before anything else may use its name. */
  readonly abandon: (path: Buffer, version: string, leftover: string) => Promise<void>;
  /** Drops the blocks of all that was noted. */
  readonly clear: () => Promise<void>;
}

const keyFor = (path: Buffer, version: string): Buffer =>
  keyOf(table.assemblyWaste, path, Buffer.from(version, 'hex'));

export async function openWaste(
  engine: Engine,
  abandon: (leftover: string) => Promise<void>,
): Promise<Waste> {
  /** By name of the key, those whose file is being cleared away. */
  const underWay = new Set<string>();
  const all = Buffer.from([table.assemblyWaste]);
  const noted = async (): Promise<readonly (readonly [Buffer, Buffer])[]> => {
    const found: (readonly [Buffer, Buffer])[] = [];
    for await (const entry of engine.scan(all, endOf(all))) found.push(entry);
    return found;
  };
  const clear = async (): Promise<void> => {
    await engine.written();
    for (const [key] of await noted()) {
      if (underWay.has(nameOf(key))) continue;
      const path = key.subarray(1, 1 + hashLength);
      const blocks = blocksOf(path, key.toString('hex', 1 + hashLength));
      await engine.clear(blocks, endOf(blocks));
      engine.remove(key);
    }
    await engine.written();
  };

  // What an owner before us was about to clear away.
  for (const [, leftover] of await noted()) if (leftover.length > 0) await abandon(leftover.toString('utf8'));
  await clear();

  return {
    note: (path, version, leftover) => {
      const key = keyFor(path, version);
      engine.put(key, Buffer.from(leftover));
      if (leftover !== '') underWay.add(nameOf(key));
    },
    abandon: async (path, version, leftover) => {
      const name = nameOf(keyFor(path, version));
      if (leftover !== '') await abandon(leftover);
      underWay.delete(name);
      engine.put(namedKey(name), Buffer.alloc(0));
    },
    clear,
  };
}
