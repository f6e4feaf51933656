import { join } from 'node:path';

/** Where what keeps all configurations of a user running has its things, below the directory of states. */
export const keeperDirectory = (state: string): string => join(state, 'sr');

/** What was started and not stopped. */
export const wantedFile = (state: string): string => join(keeperDirectory(state), 'wanted.json');
