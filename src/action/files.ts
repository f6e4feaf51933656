import { existsSync } from 'node:fs';
import { mkdir, readdir, rename as move } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Directories,
  type ListedConfiguration,
  configurationMode,
  listConfigurations,
} from '../config/directories.js';
import { FatalError } from '../errors.js';
import { baseDirectories } from '../process/places/user-directories.js';
import type { Call } from './action.js';

/** Files that every component reads. */
export const generalFiles = ['default.conf', 'admin.conf', 'credentials.conf'] as const;

export const directoriesFor = ({ host }: Call): Directories => baseDirectories(host);

/** Where the configurations of the component are. */
export const homeOf = (call: Call): string => join(directoriesFor(call).configuration, call.facts.name);

/** Makes the directory of the component when it is missing. */
export async function makeHome(call: Call): Promise<string> {
  const home = homeOf(call);
  await mkdir(home, { recursive: true, mode: configurationMode });
  return home;
}

/** A configuration of the component in any state. Throws FatalError (2) when there is none of that name. */
export function listedOne(call: Call, named: string): ListedConfiguration {
  const found = findListed(call, named);
  if (found !== undefined) return found;
  throw new FatalError(`${named}: no such configuration in ${homeOf(call)}; see ${call.program} list`, {
    exitCode: 2,
  });
}

export function findListed(call: Call, named: string): ListedConfiguration | undefined {
  const name = simpleName(named);
  const all = listConfigurations(directoriesFor(call), call.facts.name);
  const isMeant = (one: ListedConfiguration): boolean =>
    one.name === name.replace(/\.(conf|inc|off)$/, '').replace(/\.conf$/, '') || basename(one.path) === name;
  return all.find((one) => basename(one.path) === name) ?? all.find(isMeant);
}

/** A name without directory. Throws FatalError (2) for others, which would lead elsewhere. */
export function simpleName(name: string): string {
  if (name !== '' && name === basename(name) && !name.startsWith('.') && !name.includes('\0')) return name;
  throw new FatalError(`${name}: give the name of a configuration, without directories`, { exitCode: 2 });
}

export const withSuffix = (name: string): string => (/\.(conf|inc|off)$/.test(name) ? name : `${name}.conf`);

/** Renames a file, and never over another one. */
export async function moveFile(from: string, to: string): Promise<void> {
  if (existsSync(to)) throw new FatalError(`${to} exists already: remove or rename it first`);
  await move(from, to);
}

/** Examples that come with this package, by the component they are for. */
export const exampleDirectory = join(import.meta.dirname, '../../config-examples');

export async function examplesOf(component: string): Promise<readonly string[]> {
  const directory = join(exampleDirectory, component);
  if (!existsSync(directory)) return [];
  return (await readdir(directory)).filter((name) => /\.(conf|inc)$/.test(name)).sort();
}
