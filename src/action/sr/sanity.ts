import { setTimeout as sleep } from 'node:timers/promises';
import { endOwnerByForce } from '../../group/kept/force.js';
import { launchKeeper } from '../../group/keeper/launch-keeper.js';
import { groupPlaces } from '../../group/places.js';
import { askForSanity, askGroup } from '../../group/keeper/reach-keeper.js';
import { spawnsOf } from '../../group/kept/spawns.js';
import type { GroupStatus } from '../../group/words.js';
import { readWanted } from '../../group/wanted.js';
import { ownerOf } from '../../process/daemon/reach.js';
import type { SrCall, SrRun } from './sr-action.js';

/** Milliseconds in which a keeper that is well answers, however busy the machine is. */
const PATIENCE = 30_000;
/** And in which it replaces what hangs. */
const REPLACING = 90_000;
const LOOK_EVERY = 500;

/**
 * Starts what was started once, was not stopped, and does not run; the keeper replaces what hangs, and is replaced
 * when it hangs itself. Made for cron: where all is well, it changes nothing and says nothing.
 */
export const sanity: SrRun = async (call) => {
  const { terminal, host } = call;
  const { directory, wanted, log } = groupPlaces(host);
  const spawns = spawnsOf({ files: call.files, directory, log, revives: true });
  if ((await answering(directory)) === 'silent') {
    await terminal.write('the keeper does not answer: it is replaced');
    await endOwnerByForce(directory);
  }
  if ((await ownerOf(directory)) === undefined) {
    const entries = await readWanted(wanted);
    if (entries.length === 0) return 0;
    const kept = entries.filter(({ leaving }) => leaving === undefined).length;
    await terminal.write(`there is no keeper: one is started for ${kept} configurations`);
    await launchKeeper(spawns, false);
    // It ends what the one before was ending, and then itself.
    if (kept === 0) return 0;
  }
  const asked = askForSanity(directory);
  const code = await healed(call, directory);
  const results = (await asked) ?? [];
  const started = results.filter(({ did }) => did === 'started');
  if (started.length > 0) await terminal.write(`${started.length} started`);
  return code;
};

/** A keeper that is only busy is waited for. */
async function answering(directory: string): Promise<GroupStatus | 'silent' | undefined> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const group = await askGroup(directory);
    if (group !== 'silent' || Date.now() > deadline) return group;
  }
}

/** States that pass by themselves: what hangs is replaced, and what was replaced begins. */
const passing: ReadonlySet<string> = new Set(['hung', 'restarting', 'starting']);

/** Waits until each works, or there is no hope for it. */
async function healed({ terminal }: SrCall, directory: string): Promise<number> {
  const deadline = Date.now() + REPLACING;
  let told = false;
  for (;;) {
    const group = await askGroup(directory);
    if (group === undefined || group === 'silent') return 1;
    const { configurations } = group;
    const hung = configurations.filter(({ state }) => state === 'hung');
    if (hung.length > 0 && !told)
      await terminal.write(`${hung.length} do not answer, and are replaced unless they do`);
    told ||= hung.length > 0;
    const isOver = Date.now() > deadline || configurations.every(({ state }) => !passing.has(state));
    const ill = configurations.filter(({ state }) => state !== 'running');
    if (isOver) {
      for (const { key, state, reason } of ill) terminal.note(`sr: ${key}: ${state}: ${reason}\n`);
      return ill.length > 0 ? 1 : 0;
    }
    await sleep(LOOK_EVERY);
  }
}
