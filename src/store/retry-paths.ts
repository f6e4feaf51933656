import { endOf, hashLength, keyOf, nothing, numberValue, readNumber, table, type Engine } from './engine.js';
import { type MayHave } from './may-have.js';
import type { WaitingRetries } from './paths.js';

/** Which retries wait for a path, so that a newer event finds them without reading the list. */
export interface RetryPaths extends WaitingRetries {
  readonly put: (path: Buffer, id: Buffer, instant: number) => void;
  readonly remove: (path: Buffer, id: Buffer) => void;
}

export function retryPaths(engine: Engine, known: MayHave): RetryPaths {
  const entryKey = (path: Buffer, id: Buffer): Buffer => keyOf(table.retryOfPath, path, id);
  /** How many there are of a path: a look-up is much cheaper than a scan, and nearly every path has none. */
  const countKey = (path: Buffer): Buffer => keyOf(table.retryPath, path);
  const countOf = (path: Buffer): number =>
    known.mayHave(path) ? (readNumber(engine.get(countKey(path))) ?? 0) : 0;
  const setCount = (path: Buffer, count: number): void => {
    if (count > 0) engine.put(countKey(path), numberValue(count));
    else engine.remove(countKey(path));
  };

  const entriesOf = async (path: Buffer): Promise<readonly { key: Buffer; instant: number }[]> => {
    if (countOf(path) === 0) return [];
    await engine.written();
    const prefix = keyOf(table.retryOfPath, path);
    const found: { key: Buffer; instant: number }[] = [];
    for await (const [key] of engine.scan(prefix, endOf(prefix))) {
      const instant = readNumber(engine.get(key));
      if (instant !== undefined) found.push({ key, instant });
    }
    return found;
  };
  const removeKey = (key: Buffer): void => {
    if (engine.get(key) === undefined) return;
    engine.remove(key);
    const path = key.subarray(1, 1 + hashLength);
    setCount(path, countOf(path) - 1);
  };

  const supersede = async (paths: readonly Buffer[], instant: number): Promise<boolean> => {
    const entries = (await Promise.all(paths.map(entriesOf))).flat();
    // Gone meanwhile: settled by somebody while we looked.
    const waiting = entries.filter(({ key }) => engine.get(key) !== undefined);
    if (waiting.some((entry) => entry.instant > instant)) return true;
    for (const { key } of waiting.filter((entry) => entry.instant < instant)) {
      engine.put(keyOf(table.retryEnded, key.subarray(1 + hashLength)), nothing);
      // It has been told, and must not be met again: one path may have failed very often.
      removeKey(key);
    }
    return false;
  };

  return {
    put: (path, id, instant) => {
      const count = countOf(path);
      known.note(path);
      engine.put(entryKey(path, id), numberValue(instant));
      setCount(path, count + 1);
    },
    remove: (path, id) => removeKey(entryKey(path, id)),
    supersede: (paths, instant) => paths.some(known.mayHave) && supersede(paths, instant),
  };
}
