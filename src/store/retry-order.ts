import { endOf, keyOf, nothing, numberKey, table, type Engine } from './engine.js';

export interface DueEntry {
  readonly id: Buffer;
  /** Milliseconds since 1970. */
  readonly due: number;
}

/** The retries in the order of their due times. */
export interface DueOrder {
  readonly put: (due: number, id: Buffer) => void;
  readonly remove: (due: number, id: Buffer) => void;
  /** Entries due at `until` or before, oldest first. */
  readonly walk: (until: number) => AsyncGenerator<DueEntry>;
}

const dueBytes = 6;

/**
 * A list worked from its head leaves removed entries there until LevelDB clears up, and a scan from the very start
 * would pass them all each time. So the head is remembered: nothing is below `floor`. A walk raises it to the
 * first entry that it meets, unless something lower was put in while it walked.
 */
export function dueOrder(engine: Engine): DueOrder {
  const start = Buffer.from([table.retryDue]);
  const keyFor = (due: number, id: Buffer): Buffer => keyOf(table.retryDue, numberKey(due), id);
  const lower = (one: Buffer, other: Buffer): Buffer => (Buffer.compare(one, other) < 0 ? one : other);
  let floor: Buffer = start;
  const walks = new Set<{ lowest: Buffer }>();

  return {
    put: (due, id) => {
      const key = keyFor(due, id);
      engine.put(key, nothing);
      floor = lower(floor, key);
      for (const walk of walks) walk.lowest = lower(walk.lowest, key);
    },
    remove: (due, id) => engine.remove(keyFor(due, id)),
    walk: async function* (until) {
      const end = until === Infinity ? endOf(start) : keyOf(table.retryDue, numberKey(until + 1));
      const walk = { lowest: end };
      walks.add(walk);
      let atHead = true;
      const raise = (): void => {
        if (atHead && Buffer.compare(walk.lowest, floor) > 0) floor = walk.lowest;
        atHead = false;
      };
      try {
        await engine.written();
        for await (const [key] of engine.scan(floor, end)) {
          if (engine.get(key) === undefined) continue;
          walk.lowest = lower(walk.lowest, key);
          raise();
          yield { due: key.readUIntBE(1, dueBytes), id: key.subarray(1 + dueBytes) };
        }
        raise();
      } finally {
        walks.delete(walk);
      }
    },
  };
}
