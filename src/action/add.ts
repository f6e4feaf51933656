import { existsSync, statSync } from 'node:fs';
import { copyFile, mkdir, chmod } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { configurationMode } from '../config/directories.js';
import { FatalError } from '../errors.js';
import { type Call, type Run, isRehearsal } from './action.js';
import { requireName } from './chosen.js';
import { directoriesFor, exampleDirectory, homeOf, withSuffix } from './files.js';

/** Copies examples, or files of one's own, to where configurations and plugins are. */
export const add: Run = async (call) => {
  for (const named of [requireName(call, 'add'), ...call.given.rest]) await addOne(call, named);
  return 0;
};

const isPlugin = (file: string): boolean => /\.(py|js|mjs|sh)$/.test(file);

async function addOne(call: Call, named: string): Promise<void> {
  const from = findSource(call, named);
  const directory = isPlugin(from) ? join(directoriesFor(call).configuration, 'plugins') : homeOf(call);
  const to = join(directory, isPlugin(from) ? basename(from) : withSuffix(basename(from)));
  if (existsSync(to) && !call.force) {
    throw new FatalError(`${to} exists already: give --force to replace it, or another name`);
  }
  if (isRehearsal(call)) return call.terminal.write(`would copy ${from} to ${to}`);
  await mkdir(directory, { recursive: true, mode: configurationMode });
  await copyFile(from, to);
  // Others may neither read what it says nor change what runs with our rights.
  await chmod(to, isPlugin(from) ? 0o700 : 0o600);
  await call.terminal.write(`${to}: copied from ${from}`);
}

function findSource(call: Call, named: string): string {
  const places = [
    resolve(call.host.cwd, named),
    resolve(call.host.cwd, `${named}.conf`),
    join(exampleDirectory, call.facts.name, withSuffix(basename(named))),
  ];
  const found = places.find((place) => statSync(place, { throwIfNoEntry: false })?.isFile() === true);
  if (found !== undefined) return found;
  throw new FatalError(`${named}: no such file, and no example of that name; see ${call.program} list`, {
    exitCode: 2,
  });
}
