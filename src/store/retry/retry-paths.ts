import { endOf, keyOf, nothing, numberValue, readNumber, table, type Engine } from '../engine/engine.js';
import type { MayHave } from '../engine/may-have.js';
import type { WaitingRetries } from '../paths.js';

/** Which retries wait for a path, so that a newer event finds them without reading the list. */
export interface RetryPaths extends WaitingRetries {
  readonly put: (path: Buffer, id: Buffer, instant: number, party?: Buffer) => void;
  readonly remove: (path: Buffer, id: Buffer, party?: Buffer) => void;
}

const idLength = 6;

/** `end` is told of each retry that is superseded. */
export function retryPaths(engine: Engine, known: MayHave, end: (id: Buffer) => void): RetryPaths {
  const prefixOf = (path: Buffer, party: Buffer = nothing): Buffer => keyOf(table.retryOfPath, path, party);
  const entryKey = (path: Buffer, id: Buffer, party: Buffer | undefined): Buffer =>
    Buffer.concat([prefixOf(path, party), id]);

  /** All that is not of this party: those may be as many as a file has blocks. */
  const rangesOf = (path: Buffer, party: Buffer | undefined): readonly (readonly [Buffer, Buffer])[] => {
    const all = prefixOf(path);
    if (party === undefined) return [[all, endOf(all)]];
    const own = prefixOf(path, party);
    return [
      [all, own],
      [endOf(own), endOf(all)],
    ];
  };

  const entriesOf = async (
    path: Buffer,
    party: Buffer | undefined,
  ): Promise<readonly { key: Buffer; instant: number }[]> => {
    // Nearly every path has none.
    if (!known.mayHave(path)) return [];
    await engine.written();
    const found: { key: Buffer; instant: number }[] = [];
    for (const [from, to] of rangesOf(path, party)) {
      for await (const [key] of engine.scan(from, to)) {
        const instant = readNumber(engine.get(key));
        if (instant !== undefined) found.push({ key, instant });
      }
    }
    return found;
  };

  const supersede = async (
    paths: readonly Buffer[],
    instant: number,
    party: Buffer | undefined,
  ): Promise<boolean> => {
    const entries = (await Promise.all(paths.map((path) => entriesOf(path, party)))).flat();
    // Gone meanwhile: settled by somebody while we looked.
    const waiting = entries.filter(({ key }) => engine.get(key) !== undefined);
    if (waiting.some((entry) => entry.instant > instant)) return true;
    for (const { key } of waiting.filter((entry) => entry.instant < instant)) {
      end(key.subarray(-idLength));
      // It has been told, and must not be met again: one path may have failed very often.
      engine.remove(key);
    }
    return false;
  };

  return {
    put: (path, id, instant, party) => {
      known.note(path);
      engine.put(entryKey(path, id, party), numberValue(instant));
    },
    remove: (path, id, party) => engine.remove(entryKey(path, id, party)),
    supersede: (paths, instant, party) => paths.some(known.mayHave) && supersede(paths, instant, party),
  };
}
