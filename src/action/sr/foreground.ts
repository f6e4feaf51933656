import { availableParallelism } from 'node:os';
import { makeDirectories } from '../../config/directories.js';
import { FatalError } from '../../errors.js';
import { type Keeping, keep } from '../../group/keeper/keeper.js';
import { openNotifier } from '../../group/keeper/notify.js';
import { groupPlaces } from '../../group/places.js';
import { spawnsOf } from '../../group/kept/spawns.js';
import { createLogger } from '../../process/log/log.js';
import { baseDirectories } from '../../process/places/user-directories.js';
import { ownerOf } from '../../process/daemon/reach.js';
import { everything, matching, startable } from './chosen.js';
import { readAll } from './entries.js';
import { prepare } from './prepare.js';
import { makeRouters } from './routers.js';
import { nothingThere, tell } from './start.js';
import type { SrRun } from './sr-action.js';

/** Starts everything, and stays in front as its keeper: for service managers and containers. Ends with all of it. */
export const foreground: SrRun = async (call) => {
  const { terminal, host } = call;
  makeRouters(call);
  const all = startable(matching(call.patterns, everything(call)));
  if (all.length === 0) return nothingThere(call);
  const { usable, wrong } = readAll(call, all);
  const { directory, wanted, log } = groupPlaces(host);
  const there = await ownerOf(directory);
  if (there !== undefined)
    throw new FatalError(`sr runs already, its keeper is process ${there}: see sr status`);
  makeDirectories(baseDirectories(host));
  await prepare(call, usable);
  const logger = await createLogger({ level: 'info', format: 'text', write: terminal.note, base: {} });
  const notifier = openNotifier({ environment: host.environment, logger });
  let isStopping = false;
  const begin = async (keeper: Keeping): Promise<void> => {
    const results = await keeper.start(usable.map(({ entry }) => entry));
    await tell(call, results, wrong.length);
    // Each was begun, whether its broker answers or not: what is missing then comes by itself, and status tells.
    const begun = results.filter(({ did }) => did === 'started' || did === 'was running').length;
    if (!isStopping) await notifier.ready(`${begun} of ${all.length} configurations were begun`);
  };
  let beginning: Promise<void> | undefined;
  const isOurs = await keep({
    directory,
    wanted,
    mode: 'foreground',
    fresh: true,
    processors: availableParallelism(),
    spawns: spawnsOf({ files: call.files, directory, log, revives: false }),
    logger,
    ready: (keeper) => {
      beginning = begin(keeper);
      beginning.catch((thrown: unknown) => logger.error(String(thrown)));
    },
    stopping: () => {
      isStopping = true;
      void notifier.stopping();
    },
  });
  notifier.end();
  await beginning;
  if (!isOurs) throw new FatalError('sr runs already: see sr status');
  return 0;
};
