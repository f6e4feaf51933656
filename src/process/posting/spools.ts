import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../../errors.js';
import { type FoundSpool, findSpools } from '../../store/spool/spool.js';

/** Where a configuration keeps posts that wait; one directory for each broker and exchange. */
export const allSpools = (state: string): string => join(state, 'spool');

/** The spools of a configuration in which something waits. */
export const spoolsOf = (state: string): Promise<readonly FoundSpool[]> => findSpools(allSpools(state));

/** How many posts of a configuration wait. */
export const waitingIn = async (state: string): Promise<number> =>
  (await spoolsOf(state)).reduce((sum, { waiting }) => sum + waiting, 0);

/** The spools of all configurations below a directory. */
export async function spoolsBelow(directory: string): Promise<readonly FoundSpool[]> {
  const names = await readdir(directory).catch((thrown: unknown) => {
    if (systemCode(thrown) === 'ENOENT') return [];
    throw thrown;
  });
  return (await Promise.all(names.sort().map((name) => spoolsOf(join(directory, name))))).flat();
}
