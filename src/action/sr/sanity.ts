import { setTimeout as sleep } from 'node:timers/promises';
import { RetryableError } from '../../errors.js';
import { endOwnerByForce } from '../../group/force.js';
import { launchKeeper } from '../../group/launch-keeper.js';
import { groupPlaces } from '../../group/places.js';
import { askForSanity, askGroup } from '../../group/reach-keeper.js';
import { spawnsOf } from '../../group/spawns.js';
import type { GroupStatus } from '../../group/words.js';
import { readWanted } from '../../group/wanted.js';
import { ownerOf } from '../../process/reach.js';
import { tell } from './start.js';
import type { SrCall, SrRun } from './sr-action.js';

/** Milliseconds in which a keeper that is well answers, however busy the machine is. */
const PATIENCE = 30_000;
/** And in which it replaces what hangs. */
const REPLACING = 60_000;
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
    await terminal.write(`there is no keeper: one is started for ${entries.length} configurations`);
    await launchKeeper(spawns, false);
  }
  const results = (await askForSanity(directory)) ?? [];
  const changed = results.filter(({ did }) => did !== 'was running');
  const code = await tell(call, changed, 0);
  return Math.max(code, await healed(call, directory));
};

/** A keeper that is only busy is waited for. */
async function answering(directory: string): Promise<GroupStatus | 'silent' | undefined> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const group = await askGroup(directory);
    if (group !== 'silent' || Date.now() > deadline) return group;
  }
}

/** Waits for what hangs to be replaced. */
async function healed({ terminal }: SrCall, directory: string): Promise<number> {
  const deadline = Date.now() + REPLACING;
  let told = false;
  for (;;) {
    const group = await askGroup(directory).catch((thrown: unknown) => {
      if (thrown instanceof RetryableError) return 'silent' as const;
      throw thrown;
    });
    if (group === undefined || group === 'silent') return 1;
    const ill = group.configurations.filter(({ state }) => state === 'hung' || state === 'restarting');
    const hung = ill.filter(({ state }) => state === 'hung');
    if (hung.length === 0) return ill.length > 0 ? 1 : 0;
    if (!told) await terminal.write(`${hung.length} do not answer, and are replaced unless they do`);
    told = true;
    if (Date.now() > deadline) return 1;
    await sleep(LOOK_EVERY);
  }
}
