import { groupPlaces } from '../../group/places.js';
import { askGroup, askKeeperToStop } from '../../group/keeper/reach-keeper.js';
import { askReload } from '../../process/daemon/reach.js';
import { everything, matching, startable } from './chosen.js';
import { type Usable, readAll } from './entries.js';
import { silentKeeper, start } from './start.js';
import type { SrCall, SrRun } from './sr-action.js';

/** At once at most: a configuration that is read again ends its transfers first. */
const AT_ONCE = 8;

/** Has everything that runs take its configuration as it is now; starts the others. */
export const reload: SrRun = async (call) => {
  const { terminal, host } = call;
  const { usable, wrong } = readAll(call, startable(matching(call.patterns, everything(call))));
  const { directory } = groupPlaces(host);
  const group = await askGroup(directory);
  if (group === 'silent') throw silentKeeper();
  const places = new Map(group?.configurations.map(({ key, place }) => [key, place]));
  const moved = usable.filter(({ chosen, entry }) => {
    const place = places.get(chosen.key);
    return place !== undefined && (place === 'own') !== (entry.place === 'own');
  });
  // What needs processes of its own now, or no longer, begins anew at its place.
  if (moved.length > 0) await askKeeperToStop(directory, { keys: moved.map(({ chosen }) => chosen.key) });
  const { reloaded, refused } = await reloadAll(
    call,
    usable.filter((one) => !moved.includes(one)),
  );
  if (reloaded > 0) await terminal.write(`${reloaded} reloaded`);
  const isMissing = reloaded + refused < usable.length;
  const code = isMissing ? await start(call) : 0;
  return refused + wrong.length > 0 ? 1 : code;
};

async function reloadAll(
  { terminal }: SrCall,
  usable: readonly Usable[],
): Promise<{ readonly reloaded: number; readonly refused: number }> {
  const left = [...usable];
  const count = { reloaded: 0, refused: 0 };
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      const answer = await askReload(one.entry.state, one.config.running.instances);
      if (answer?.reloaded === true) count.reloaded += 1;
      if (answer?.reloaded !== false) continue;
      count.refused += 1;
      terminal.note(`sr: ${one.chosen.key}: not reloaded, it goes on as before: ${answer.reason ?? ''}\n`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return count;
}
