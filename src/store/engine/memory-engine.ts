import { hashLength, namedKey, nameOf, type Engine } from './engine.js';

/** Entries of one table; `order` is their sorted keys, rebuilt when it is asked for after a new key. */
interface Shelf {
  readonly entries: Map<string, Buffer>;
  order: readonly string[] | undefined;
}

function keysBetween(shelf: Shelf | undefined, from: string, to: string): readonly string[] {
  if (shelf === undefined) return [];
  shelf.order ??= [...shelf.entries.keys()].sort();
  return shelf.order.filter((key) => key >= from && key < to);
}

/** An engine that forgets everything at the end: for dry runs and for tests of what uses a store. */
export function openMemoryEngine(): Engine {
  const shelves = new Map<number, Shelf>();
  const shelfOf = (key: Uint8Array): Shelf => {
    const letter = key[0] ?? 0;
    const known = shelves.get(letter);
    if (known !== undefined) return known;
    const shelf: Shelf = { entries: new Map(), order: undefined };
    shelves.set(letter, shelf);
    return shelf;
  };
  const remove = (shelf: Shelf, key: string): void => {
    // The order may keep keys that are gone: whoever reads it looks the entry up.
    shelf.entries.delete(key);
    if (shelf.order !== undefined && shelf.order.length > 2 * shelf.entries.size + hashLength)
      shelf.order = undefined;
  };
  return {
    get: (key) => shelfOf(key).entries.get(nameOf(key)),
    put: (key, value) => {
      const shelf = shelfOf(key);
      const text = nameOf(key);
      if (!shelf.entries.has(text)) shelf.order = undefined;
      shelf.entries.set(text, Buffer.from(value));
    },
    remove: (key) => remove(shelfOf(key), nameOf(key)),
    written: async () => undefined,
    failed: new AbortController().signal,
    scan: async function* (from, to, backwards = false) {
      const shelf = shelfOf(from);
      const keys = keysBetween(shelf, nameOf(from), nameOf(to));
      for (const key of backwards ? [...keys].reverse() : keys) {
        const value = shelf.entries.get(key);
        if (value !== undefined) yield [namedKey(key), value];
      }
    },
    clear: async (from, to) => {
      const shelf = shelfOf(from);
      for (const key of keysBetween(shelf, nameOf(from), nameOf(to))) remove(shelf, key);
    },
    close: async () => shelves.clear(),
  };
}
