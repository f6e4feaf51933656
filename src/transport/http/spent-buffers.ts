import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/*
 * What sockets bring lies in buffers of 64 KiB outside of the heap. The engine looks for spent ones when its heap has
 * filled with the small objects that stand for them, which is many MiB too late with large files.
 */

/** Bytes of spent buffers after which they are collected. */
const enough = 4 * 1024 * 1024;

type Collect = (how: { readonly type: 'minor' }) => void;

let spent = 0;
let collect: Collect | undefined;

/** The engine's own collector, which it shows only to those that ask. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof found === 'function' ? (found as Collect) : () => undefined;
}

/** So many bytes have come in buffers that nobody keeps for long. Now and then collects those, about a millisecond. */
export function spend(bytes: number): void {
  spent += bytes;
  if (spent < enough) return;
  spent = 0;
  collect ??= collector();
  collect({ type: 'minor' });
}
