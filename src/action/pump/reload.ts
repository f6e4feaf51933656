import { type Told, tellUsers } from '../../process/audit/tell-users.js';
import type { Place } from './place.js';
import type { PumpCall } from './pump-action.js';

/** What runs and must know of a user who was added or removed knows it then. Nothing that does not run is started. */
export const reloadFor = (
  name: string,
  { administration }: Place,
  call: PumpCall,
): Promise<readonly Told[]> =>
  tellUsers(new Set([name]), administration.directories, call.host, { look: call.dryRun });

/** What became of it, for people. */
export const reloadNotes = (told: readonly Told[], { dryRun }: PumpCall): readonly string[] => {
  const done = told.filter(({ problem }) => problem === undefined).map(({ key }) => key);
  return [
    ...(done.length === 0 ? [] : [`${dryRun ? 'would be reloaded' : 'reloaded'}: ${done.join(', ')}`]),
    ...told
      .filter(({ problem }) => problem !== undefined)
      .map(({ key, problem }) => `${key} goes on as before: ${problem ?? ''}; then: sr reload ${key}`),
  ];
};

/** The exit code: something that runs does not know of the change. */
export const reloadCode = (told: readonly Told[]): number =>
  told.some(({ problem }) => problem !== undefined) ? 1 : 0;
