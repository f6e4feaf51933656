import { FatalError } from '../../errors.js';
import { type Entry, entryFor } from '../../group/entry.js';
import type { Config } from '../../config/config.js';
import { readOrder } from '../../process/places/order.js';
import { refuseUnavailable, requireComponent } from '../../process/work/run.js';
import { type Chosen, orderOf } from './chosen.js';
import type { SrCall } from './sr-action.js';

/** A configuration that was read and can be used. */
export interface Usable {
  readonly chosen: Chosen;
  readonly config: Config;
  readonly entry: Entry;
}

/** Reads them; those that are wrong are told, and left out. */
export function readAll(
  { host, terminal }: SrCall,
  chosen: readonly Chosen[],
): { readonly usable: readonly Usable[]; readonly wrong: readonly string[] } {
  const usable: Usable[] = [];
  const wrong: string[] = [];
  for (const one of chosen) {
    try {
      usable.push(readOne(host, one));
    } catch (thrown) {
      if (!(thrown instanceof FatalError)) throw thrown;
      wrong.push(one.key);
      terminal.note(`sr: ${one.key}: ${thrown.message}\n`);
    }
  }
  return { usable, wrong };
}

function readOne(host: SrCall['host'], chosen: Chosen): Usable {
  const { path, name } = chosen;
  const config = readOrder(orderOf(chosen), host);
  refuseUnavailable(config, requireComponent(config));
  return { chosen, config, entry: entryFor(config, host, { file: path, name }) };
}
