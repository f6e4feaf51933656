import { endOf, hashLength, keyOf, numberValue, readNumber, table, type Engine } from './engine.js';
import type { MayHave } from './may-have.js';
import type { WaitingRetries } from './paths.js';

/** Which retries wait for a path, so that a newer event finds them without reading the list. */
export interface RetryPaths extends WaitingRetries {
  readonly put: (path: Buffer, id: Buffer, instant: number) => void;
  readonly remove: (path: Buffer, id: Buffer) => void;
}

/** `end` is told of each retry that is superseded. */
export function retryPaths(engine: Engine, known: MayHave, end: (id: Buffer) => void): RetryPaths {
  const entryKey = (path: Buffer, id: Buffer): Buffer => keyOf(table.retryOfPath, path, id);

  const entriesOf = async (path: Buffer): Promise<readonly { key: Buffer; instant: number }[]> => {
    // Nearly every path has none.
    if (!known.mayHave(path)) return [];
    await engine.written();
    const prefix = keyOf(table.retryOfPath, path);
    const found: { key: Buffer; instant: number }[] = [];
    for await (const [key] of engine.scan(prefix, endOf(prefix))) {
      const instant = readNumber(engine.get(key));
      if (instant !== undefined) found.push({ key, instant });
    }
    return found;
  };

  const supersede = async (paths: readonly Buffer[], instant: number): Promise<boolean> => {
    const entries = (await Promise.all(paths.map(entriesOf))).flat();
    // Gone meanwhile: settled by somebody while we looked.
    const waiting = entries.filter(({ key }) => engine.get(key) !== undefined);
    if (waiting.some((entry) => entry.instant > instant)) return true;
    for (const { key } of waiting.filter((entry) => entry.instant < instant)) {
      end(key.subarray(1 + hashLength));
      // It has been told, and must not be met again: one path may have failed very often.
      engine.remove(key);
    }
    return false;
  };

  return {
    put: (path, id, instant) => {
      known.note(path);
      engine.put(entryKey(path, id), numberValue(instant));
    },
    remove: (path, id) => engine.remove(entryKey(path, id)),
    supersede: (paths, instant) => paths.some(known.mayHave) && supersede(paths, instant),
  };
}
