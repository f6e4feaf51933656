import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { launchProcess } from '../../process/daemon/launch.js';
import { type Entry, orderOf } from '../entry.js';
import type { GroupCommission } from '../words.js';

/** How the processes of a group are started. All of them outlive whoever starts them. */
export interface Spawns {
  readonly carrier: (number: number) => ChildProcess;
  /** The supervisor of a configuration that has processes of its own. */
  readonly supervisor: (entry: Entry) => ChildProcess;
  readonly keeper: (fresh: boolean) => ChildProcess;
}

export interface SpawnOptions {
  /** Compiled files that run processes of the group, and supervisors. */
  readonly files: { readonly group: string; readonly daemon: string };
  readonly directory: string;
  readonly log: string;
  readonly revives: boolean;
}

const LOG_MODE = 0o600;

/** Logs of the processes themselves; each configuration has one of its own. */
export const keeperLog = (log: string): string => join(log, 'sr_keeper.log');
export const carrierLog = (log: string, number: number): string =>
  join(log, `sr_carrier_${String(number).padStart(2, '0')}.log`);
const supervisorLog = (log: string, { component, name }: Entry): string =>
  join(log, `sr_${component}_${name}_00.log`);

export function spawnsOf({ files, directory, log, revives }: SpawnOptions): Spawns {
  const launch = (commission: GroupCommission, words: readonly string[], file: string): ChildProcess =>
    launchProcess({ entry: files.group, words, commission, log: file, logMode: LOG_MODE, detached: true });
  return {
    carrier: (number) =>
      launch(
        { role: 'carrier', number, keeper: directory, log, revives },
        ['sr', `carrier ${number}`],
        carrierLog(log, number),
      ),
    keeper: (fresh) => launch({ role: 'keeper', directory, log, fresh }, ['sr', 'keeper'], keeperLog(log)),
    supervisor: (entry) =>
      launchProcess({
        entry: files.daemon,
        words: [entry.program, entry.name, 'supervisor'],
        commission: { order: orderOf(entry), number: 0 },
        log: supervisorLog(log, entry),
        logMode: LOG_MODE,
        detached: true,
      }),
  };
}
