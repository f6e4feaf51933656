import { availableParallelism } from 'node:os';
import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Host } from '../process/places/host.js';
import { openLogFile } from '../process/log/log-file.js';
import { textLogger } from '../process/log/log.js';
import { tellParent } from '../process/daemon/parent.js';
import { keep } from './keeper/keeper.js';
import { launchKeeper } from './keeper/launch-keeper.js';
import { groupPlaces } from './places.js';
import { type SpawnOptions, carrierLog, keeperLog, spawnsOf } from './kept/spawns.js';
import type { GroupCommission } from './words.js';

const DAY = 86_400_000;
const LOG_MODE = 0o600;
const KEPT_LOGS = 5;

/** Works off the commission of a process of the group, and returns the exit code. */
export async function runGroupDaemon(
  commission: GroupCommission,
  host: Host,
  files: SpawnOptions['files'],
): Promise<number> {
  try {
    if (commission.role === 'keeper') return await beKeeper(commission, host, files);
    process.title = `sr carrier ${commission.number}`;
    const { carry } = await import('./carrier/carrier.js');
    const logger = loggerTo(carrierLog(commission.log, commission.number));
    const spawns = spawnsOf({ files, directory: commission.keeper, log: commission.log, revives: true });
    await carry({
      commission,
      host,
      logger,
      ready: () => void tellParent({ kind: 'ready' }),
      revive: () => launchKeeper(spawns, false),
    });
    return 0;
  } catch (thrown) {
    await tellParent({ kind: 'failed', text: messageOf(thrown), exitCode: 1 });
    throw thrown;
  }
}

async function beKeeper(
  { directory, log, fresh }: Extract<GroupCommission, { role: 'keeper' }>,
  host: Host,
  files: SpawnOptions['files'],
): Promise<number> {
  process.title = 'sr keeper';
  const isOurs = await keep({
    directory,
    wanted: groupPlaces(host).wanted,
    mode: 'daemon',
    fresh,
    processors: availableParallelism(),
    spawns: spawnsOf({ files, directory, log, revives: true }),
    logger: loggerTo(keeperLog(log)),
    ready: () => void tellParent({ kind: 'ready' }),
  });
  if (!isOurs) await tellParent({ kind: 'failed', text: 'there is a keeper already', exitCode: 1 });
  return 0;
}

const loggerTo = (path: string): Logger =>
  textLogger(
    'info',
    openLogFile({ path, mode: LOG_MODE, keep: KEPT_LOGS, interval: DAY, now: Date.now }).write,
  );
