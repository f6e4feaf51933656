import { stopOrder } from '../../group/entry.js';
import { groupPlaces } from '../../group/places.js';
import { askGroup, askKeeperToStop } from '../../group/keeper/reach-keeper.js';
import type { Result } from '../../group/words.js';
import { locate } from '../../process/places/locate.js';
import { ownerOf, stopOwner } from '../../process/daemon/reach.js';
import { type Chosen, everything, matching } from './chosen.js';
import { silentKeeper, start } from './start.js';
import type { SrCall, SrRun } from './sr-action.js';

/** Stops what runs, whoever started it: who posts first, then who consumes. Done within seconds. */
export const stop: SrRun = async (call) => {
  const { terminal, host, json } = call;
  const began = performance.now();
  const all = matching(call.patterns, everything(call));
  const { directory } = groupPlaces(host);
  const group = await askGroup(directory);
  if (group === 'silent') throw silentKeeper();
  const named = new Set(all.map(({ key }) => key));
  // What is no configuration any more, because its file is gone, is stopped with all.
  const isAll = call.patterns.length === 0;
  const kept = (group?.configurations ?? []).map(({ key }) => key).filter((key) => isAll || named.has(key));
  const others = await foreign(call, all, new Set(kept));
  if (call.dryRun) {
    for (const key of [...kept, ...others.map((one) => one.key)])
      await terminal.write(`${key}: would be stopped`);
    return 0;
  }
  const results: Result[] = [];
  // Also what it does not show yet, because it is just about to start it.
  const meant = [...new Set([...kept, ...named])];
  if (group !== undefined) results.push(...((await askKeeperToStop(directory, { keys: meant })) ?? []));
  if (isAll && group !== undefined) await untilGone(directory);
  for (const { key, state } of others) {
    const did = await stopOwner(state);
    results.push(
      did === 'silent'
        ? { key, did: 'failed', reason: 'its process does not answer' }
        : { key, did: 'stopped', reason: '' },
    );
  }
  const failed = results.filter(({ did }) => did === 'failed');
  if (json) await terminal.write(JSON.stringify(results, undefined, 2));
  else {
    for (const { key, reason } of failed) terminal.note(`sr: ${key}: not stopped: ${reason}\n`);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    await terminal.write(
      results.length === 0
        ? 'nothing was running'
        : `${results.length - failed.length} stopped after ${seconds} s`,
    );
  }
  return failed.length > 0 ? 1 : 0;
};

interface Foreign {
  readonly key: string;
  readonly state: string;
}

/** What runs and is not the keeper's. */
async function foreign(
  { host }: SrCall,
  all: readonly Chosen[],
  kept: ReadonlySet<string>,
): Promise<readonly Foreign[]> {
  const found: (Foreign & { readonly component: Chosen['facts']['name'] })[] = [];
  for (const { key, facts, path, kind } of all) {
    if (kept.has(key) || kind !== 'active') continue;
    const { state } = locate(
      { component: facts.name, program: facts.program, configuration: path, options: [], paths: [] },
      host,
    );
    if ((await ownerOf(state)) !== undefined) found.push({ key, state, component: facts.name });
  }
  return stopOrder(found).flat();
}

/** Milliseconds for the keeper to be gone, when there is nothing left for it to keep. */
const LEAVING = 5000;

async function untilGone(directory: string): Promise<void> {
  const deadline = Date.now() + LEAVING;
  while ((await ownerOf(directory)) !== undefined && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Stops and starts. What is wrong now is told, and not started again. */
export const restart: SrRun = async (call) => {
  const code = await stop({ ...call, json: false });
  return code === 0 ? start(call) : code;
};
