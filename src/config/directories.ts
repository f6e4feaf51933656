import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { basename, join, posix, resolve, win32, type PlatformPath } from 'node:path';
import { FatalError, messageOf, systemCode } from '../errors.js';

/** What decides where things are. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  /** Fully qualified when the system knows it so. */
  readonly hostname: string;
}

/** Those of this process. */
export const surroundingsHere = (): Surroundings => ({
  env: process.env,
  home: homedir(),
  platform: process.platform,
  hostname: hostname(),
});

/** Base directories (configuration section 1.1). */
export interface Directories {
  /** The user's configuration. */
  readonly configuration: string;
  readonly state: string;
  readonly log: string;
  /** Configuration for all users of the machine. */
  readonly site: string;
}

/** The option `statehost`: state and logs apart for each host that shares the home directory. */
export type StateHost = 'off' | 'short' | 'fqdn';

/** Modes of directories, less umask. */
export const configurationMode = 0o700;
export const stateMode = 0o755;

const pathOf = (platform: NodeJS.Platform): PlatformPath => (platform === 'win32' ? win32 : posix);

/** Throws FatalError (2) for a name that would lead out of the directory it is meant for. */
function simpleName(name: string, what: string): string {
  if (/^[^/\\\0]+$/.test(name) && name !== '.' && name !== '..') return name;
  throw new FatalError(`${what} "${name}" is no simple name; use letters, digits, _ and -`, { exitCode: 2 });
}

function basesOf({ env, home, platform }: Surroundings, application: string): Directories {
  const path = pathOf(platform);
  const stated = (name: string, otherwise: string): string => {
    const value = env[name];
    return value !== undefined && path.isAbsolute(value) ? value : otherwise;
  };
  if (platform === 'win32') {
    const local = path.join(
      stated('LOCALAPPDATA', path.join(home, 'AppData', 'Local')),
      'science.gc.ca',
      application,
    );
    const site = path.join(stated('PROGRAMDATA', 'C:\\ProgramData'), 'science.gc.ca', application);
    return { configuration: local, state: path.join(local, 'Cache'), log: path.join(local, 'Logs'), site };
  }
  if (platform === 'darwin') {
    const library = path.join(home, 'Library');
    return {
      configuration: path.join(library, 'Application Support', application),
      state: path.join(library, 'Caches', application),
      log: path.join(library, 'Logs', application),
      site: path.join('/Library/Application Support', application),
    };
  }
  const state = path.join(stated('XDG_CACHE_HOME', path.join(home, '.cache')), application);
  const first = env['XDG_CONFIG_DIRS']?.split(':')[0];
  return {
    configuration: path.join(stated('XDG_CONFIG_HOME', path.join(home, '.config')), application),
    state,
    log: path.join(state, 'log'),
    site: path.join(first !== undefined && path.isAbsolute(first) ? first : '/etc/xdg', application),
  };
}

/**
 * Where configuration, state and logs are. `SR_DEV_APPNAME` stands for `sarra` in all of them. Variables that hold
 * no absolute path are passed over.
 */
export function directoriesOf(surroundings: Surroundings, stateHost: StateHost = 'off'): Directories {
  const named = surroundings.env['SR_DEV_APPNAME'];
  const bases = basesOf(
    surroundings,
    named === undefined || named === '' ? 'sarra' : simpleName(named, 'SR_DEV_APPNAME'),
  );
  if (stateHost === 'off') return bases;
  const path = pathOf(surroundings.platform);
  const full = simpleName(surroundings.hostname, 'host name');
  const host = stateHost === 'fqdn' ? full : full.replace(/\..*$/s, '') || full;
  const state = path.join(bases.state, host);
  const isBelow = bases.log === path.join(bases.state, 'log');
  return { ...bases, state, log: isBelow ? path.join(state, 'log') : path.join(bases.log, host) };
}

/** Makes what is missing of the user's directories. Throws FatalError (1) where that cannot be done. */
export function makeDirectories({ configuration, state, log }: Directories): void {
  make(configuration, configurationMode);
  make(state, stateMode);
  make(log, stateMode);
}

function make(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    throw new FatalError(
      `${path}: cannot be made (${messageOf(error)}); make it, or give this user the right to`,
      {
        cause: error,
      },
    );
  }
}

/** Directories of users' plugins, in the order they are searched: both generations' names, own before the site's. */
export const pluginDirectories = ({ configuration, site }: Directories): readonly string[] =>
  [configuration, site].flatMap((base) => ['plugins', 'scripts'].map((name) => join(base, name)));

/** The file of a plugin: as a path from `cwd`, then by name in `directories`; undefined when there is none. */
export function findPlugin(name: string, cwd: string, directories: readonly string[]): string | undefined {
  if (name.includes('\0')) return undefined;
  const leaf = basename(name);
  return [resolve(cwd, name), ...directories.map((directory) => join(directory, leaf))].find(isFile);
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch (error) {
    // Absent, closed to us, or a name that no file can have.
    if (systemCode(error) !== undefined) return false;
    throw error;
  }
}

/** What a file in a component's directory is: started, switched off, or a fragment to include. */
export interface ListedConfiguration {
  readonly name: string;
  readonly kind: 'active' | 'disabled' | 'fragment';
  readonly path: string;
}

const kinds = [
  ['.conf', 'active'],
  ['.conf.off', 'disabled'],
  ['.off', 'disabled'],
  ['.inc', 'fragment'],
] as const;

function listed(directory: string, file: string): ListedConfiguration[] {
  if (file.startsWith('.') || file.endsWith('~')) return [];
  const found = kinds.find(([suffix]) => file.endsWith(suffix) && file.length > suffix.length);
  if (found === undefined) return [];
  return [{ name: file.slice(0, -found[0].length), kind: found[1], path: join(directory, file) }];
}

/** The configurations of a component, by name. A directory that is not there holds none. Throws FatalError (1). */
export function listConfigurations(
  directories: Directories,
  component: string,
): readonly ListedConfiguration[] {
  const directory = join(directories.configuration, simpleName(component, 'component'));
  try {
    const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    return files.flatMap(({ name }) => listed(directory, name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new FatalError(`${directory}: cannot be listed (${messageOf(error)})`, { cause: error });
  }
}
