import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { directoriesOf, type Directories } from '../config/directories.js';
import { findOption } from '../config/options/index.js';
import { hostState } from '../config/special-values.js';
import { readLines } from '../config/syntax.js';
import { systemCode } from '../errors.js';
import type { Host } from '../process/places/host.js';
import { keeperDirectory, wantedFile } from '../process/places/keeper-places.js';
import { baseDirectories } from '../process/places/user-directories.js';

/** Where what runs all configurations of a user keeps its things. */
export interface GroupPlaces {
  /** Of the keeper. */
  readonly directory: string;
  /** What shall run, whoever keeps it running. */
  readonly wanted: string;
  readonly log: string;
}

export function groupPlaces(host: Host): GroupPlaces {
  const { state, log } = directoriesHere(host);
  const directory = keeperDirectory(state);
  return { directory, wanted: wantedFile(state), log };
}

export const carrierDirectory = (directory: string, number: number): string =>
  join(directory, `carrier-${String(number).padStart(2, '0')}`);

/** Where hosts share a home directory, each has a keeper: `statehost` in default.conf says so. */
function directoriesHere(host: Host): Directories {
  const { configuration } = baseDirectories(host);
  const { environment: env, home, platform, name: hostname } = host;
  return directoriesOf({ env, home, platform, hostname }, stateHostOf(join(configuration, 'default.conf')));
}

function stateHostOf(file: string): 'off' | 'short' | 'fqdn' {
  const said = readLines(textOf(file), file).filter(
    ({ keyword }) => findOption(keyword)?.name === 'statehost',
  );
  const parsed = hostState.parse(said.at(-1)?.words ?? ['off'], {
    component: 'report',
    dialect2016: false,
    cwd: '/',
    home: '/',
    feeder: undefined,
    keepSecret: () => undefined,
  });
  return ('value' in parsed ? parsed.value : undefined) ?? 'off';
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    if (systemCode(thrown) === undefined) throw thrown;
    return '';
  }
}
