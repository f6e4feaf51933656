import { FatalError, messageOf } from '../../errors.js';
import { startOrder } from '../../group/entry.js';
import { launchKeeper } from '../../group/keeper/launch-keeper.js';
import { groupPlaces } from '../../group/places.js';
import { askGroup, askKeeperToStart } from '../../group/keeper/reach-keeper.js';
import { spawnsOf } from '../../group/kept/spawns.js';
import type { Result } from '../../group/words.js';
import { makeDirectories } from '../../config/directories.js';
import { baseDirectories } from '../../process/places/user-directories.js';
import { ownerOf } from '../../process/daemon/reach.js';
import { everything, matching, startable } from './chosen.js';
import { type Usable, readAll } from './entries.js';
import { prepare } from './prepare.js';
import { makeRouters } from './routers.js';
import type { SrCall, SrRun } from './sr-action.js';

/**
 * Starts what does not run: first all queues are made and bound, then the programs start, those that others wait for
 * before those that post. The keeper keeps them from then on.
 */
export const start: SrRun = async (call) => {
  const { terminal, host } = call;
  makeRouters(call);
  const all = startable(matching(call.patterns, everything(call)));
  if (all.length === 0) return nothingThere(call);
  const { usable, wrong } = readAll(call, all);
  const { directory } = groupPlaces(host);
  const group = await askGroup(directory);
  if (group === 'silent') throw silentKeeper();
  const kept = new Set(group?.configurations.map(({ key }) => key));
  const { foreign, idle } = await sorted(usable, kept);
  for (const { chosen, pid } of foreign)
    await terminal.write(`${chosen.key}: runs already, in process ${pid}; it is left as it is`);
  if (call.dryRun) return rehearse(call, idle, wrong.length);
  makeDirectories(baseDirectories(host));
  await prepare(
    call,
    idle.filter(({ chosen }) => !kept.has(chosen.key)),
  );
  const results = await ask(call, idle, group === undefined);
  return tell(call, results, wrong.length);
};

export const nothingThere = async ({ terminal }: SrCall): Promise<number> => {
  terminal.note('sr: there are no configurations; see sr list\n');
  return 0;
};

export const silentKeeper = (): FatalError =>
  new FatalError('the keeper does not answer: sr sanity replaces it, and what it keeps goes on meanwhile');

interface Sorted {
  /** Others run it: a terminal, or a supervisor that was started for itself. */
  readonly foreign: readonly (Usable & { readonly pid: number })[];
  readonly idle: readonly Usable[];
}

async function sorted(usable: readonly Usable[], kept: ReadonlySet<string>): Promise<Sorted> {
  const foreign: (Usable & { readonly pid: number })[] = [];
  const idle: Usable[] = [];
  for (const one of usable) {
    const pid = kept.has(one.chosen.key) ? undefined : await ownerOf(one.entry.state);
    if (pid === undefined) idle.push(one);
    else foreign.push({ ...one, pid });
  }
  return { foreign, idle };
}

async function rehearse({ terminal }: SrCall, usable: readonly Usable[], wrong: number): Promise<number> {
  const byKey = new Map(usable.map((one) => [one.entry, one]));
  for (const some of startOrder(usable.map(({ entry }) => entry)))
    for (const entry of some) {
      const { chosen, config } = byKey.get(entry) ?? {};
      const how =
        entry.place === 'own' ? `${config?.running.instances ?? 1} instance(s) of its own` : 'shared process';
      await terminal.write(`${chosen?.key ?? ''}: would be started, ${how}`);
    }
  return wrong > 0 ? 1 : 0;
}

/** Has the keeper start them; a keeper comes first where there is none. */
async function ask(call: SrCall, usable: readonly Usable[], isMissing: boolean): Promise<readonly Result[]> {
  const { directory, log } = groupPlaces(call.host);
  if (usable.length === 0) return [];
  if (isMissing) {
    const spawns = spawnsOf({ files: call.files, directory, log, revives: true });
    await launchKeeper(spawns, true).catch((thrown: unknown) => {
      // Another command was quicker: then there is one now.
      call.terminal.note(`sr: ${messageOf(thrown)}\n`);
    });
  }
  const results = await askKeeperToStart(directory, { entries: usable.map(({ entry }) => entry) });
  if (results === undefined) throw new FatalError(`there is no keeper; see ${log}`);
  return results;
}

/** One line for all that went well; one for each that did not. */
export async function tell(
  { terminal, json }: SrCall,
  results: readonly Result[],
  wrong: number,
): Promise<number> {
  const of = (did: Result['did']): readonly Result[] => results.filter((one) => one.did === did);
  const failed = of('failed');
  const stopped = of('stopped').length;
  if (json) await terminal.write(JSON.stringify(results, undefined, 2));
  else {
    for (const { key, reason } of failed) terminal.note(`sr: ${key}: ${reason}\n`);
    const parts = [
      ...(of('started').length > 0 ? [`${of('started').length} started`] : []),
      ...(of('was running').length > 0 ? [`${of('was running').length} ran already`] : []),
      ...(stopped > 0 ? [`${stopped} stopped while being started`] : []),
      ...(failed.length + wrong > 0 ? [`${failed.length + wrong} cannot be started`] : []),
    ];
    if (parts.length > 0) await terminal.write(parts.join(', '));
  }
  return failed.length + wrong + stopped > 0 ? 1 : 0;
}
