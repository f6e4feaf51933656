import { readTextFile } from '../../config/text-file.js';
import type { Directories } from '../../config/directories.js';
import { wasLeft } from '../../store/owner/owner-file.js';
import type { CheckedDaemon } from '../../pump/check-daemons.js';
import type { Host } from '../places/host.js';
import { wantedFile } from '../places/keeper-places.js';
import { placesOf } from '../places/order.js';
import type { Configured } from './pump-files.js';
import { askStatus } from '../daemon/reach.js';

/** State directories of what was started and not stopped, by key; nothing when that cannot be understood. */
function readWantedStates(file: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const one of listIn(readTextFile(file) ?? '[]')) {
    if (typeof one !== 'object' || one === null) continue;
    const { component, name, state, leaving } = one as Readonly<Record<string, unknown>>;
    // Stopped already: it is only waited for its end.
    if (leaving !== undefined) continue;
    if (typeof component === 'string' && typeof name === 'string' && typeof state === 'string')
      found.set(`${component}/${name}`, state);
  }
  return found;
}

function listIn(text: string): readonly unknown[] {
  try {
    const read: unknown = JSON.parse(text);
    return Array.isArray(read) ? read : [];
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    return [];
  }
}

/** How everything is that runs, that should run, or that died. Asks each; one that is well answers at once. */
export async function lookAtDaemons(
  all: readonly Configured[],
  { state: stateDirectory }: Directories,
  host: Host,
): Promise<readonly CheckedDaemon[]> {
  const wanted = readWantedStates(wantedFile(stateDirectory));
  const places = new Map(wanted);
  for (const { key, read } of all)
    if (!('problem' in read) && !places.has(key)) places.set(key, placesOf(read, host).state);
  const looked = [...places].map(async ([key, state]): Promise<CheckedDaemon> => {
    const isWanted = wanted.has(key);
    const status = await askStatus(state);
    const program = all.find((one) => one.key === key)?.program;
    if (status === 'silent') return { key, program, isWanted, state: 'silent' };
    if (status === undefined)
      return { key, program, isWanted, state: (await wasLeft(state)) ? 'left' : 'stopped' };
    const failed = status.instances.find(({ state: one }) => one === 'failed');
    return failed === undefined
      ? { key, program, isWanted, state: 'running' }
      : { key, program, isWanted, state: 'failed', reason: failed.reason };
  });
  return Promise.all(looked);
}
