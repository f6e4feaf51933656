import { existsSync } from 'node:fs';
import { readdir, rename as move, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FatalError } from '../errors.js';
import { refuseWhileRunning } from '../process/topology/cleanup.js';
import { type Call, type Run, isRehearsal } from './action.js';
import { located, requireName } from './chosen.js';
import { cleanUpOne } from './cleanup.js';
import { listedOne, moveFile, simpleName } from './files.js';

/* Configurations as files: switched on and off, renamed, removed. None of it while they run. */

const namesOf = (call: Call, action: string): readonly string[] => [
  requireName(call, action),
  ...call.given.rest,
];

/** Takes the suffix `.off` away. */
export const enable: Run = async (call) => {
  for (const named of namesOf(call, 'enable')) {
    const { name, kind, path } = listedOne(call, named);
    if (kind === 'active') await call.terminal.write(`${call.program} ${name}: is enabled already`);
    else if (kind === 'fragment') throw new FatalError(`${path}: is a fragment to include`, { exitCode: 2 });
    else await change(call, path, join(dirname(path), `${name}.conf`), `${name}: enabled`);
  }
  return 0;
};

/** Adds the suffix `.off`. */
export const disable: Run = async (call) => {
  for (const named of namesOf(call, 'disable')) {
    const { name, kind, path } = listedOne(call, named);
    if (kind === 'disabled') {
      await call.terminal.write(`${call.program} ${name}: is disabled already`);
      continue;
    }
    if (kind === 'fragment') throw new FatalError(`${path}: is a fragment to include`, { exitCode: 2 });
    await refuseWhileRunning(located(call, path).state, 'disabling it');
    await change(call, path, `${path}.off`, `${name}: disabled`);
  }
  return 0;
};

async function change(call: Call, from: string, to: string, said: string): Promise<void> {
  if (isRehearsal(call)) return call.terminal.write(`would rename ${from} to ${to}`);
  await moveFile(from, to);
  await call.terminal.write(`${call.program} ${said}`);
}

/** Gives a configuration and its state another name. The queue keeps its own, and what waits in it. */
export const rename: Run = async (call) => {
  const [from, to, ...more] = namesOf(call, 'rename');
  if (from === undefined || to === undefined || more.length > 0)
    throw new FatalError(`rename: write ${call.program} rename OLD NEW`, { exitCode: 2 });
  const { name, path } = listedOne(call, from);
  const next = simpleName(to.replace(/\.(conf|inc)$/, ''));
  const file = join(dirname(path), `${next}${basename(path).slice(name.length)}`);
  const { state } = path.endsWith('.conf') ? located(call, path) : { state: undefined };
  if (state !== undefined) await refuseWhileRunning(state, 'renaming it');
  await change(call, path, file, `${name}: is ${next} now`);
  if (state !== undefined && existsSync(state) && !isRehearsal(call))
    await moveState(state, join(dirname(state), next), name, next);
  return 0;
};

/** The file that keeps the name of the queue is called after the configuration. */
async function moveState(from: string, to: string, name: string, next: string): Promise<void> {
  await moveFile(from, to);
  for (const file of await readdir(to)) {
    if (!file.endsWith('.qname')) continue;
    const renamed = file.replace(`.${name}.`, `.${next}.`);
    if (renamed !== file) await move(join(to, file), join(to, renamed));
  }
}

/** Cleans up, then deletes the file. With --force the file goes even when the broker cannot be cleaned. */
export const remove: Run = async (call) => {
  for (const named of namesOf(call, 'remove')) {
    const { name, kind, path } = listedOne(call, named);
    if (kind === 'active') await cleanFirst(call, path);
    if (isRehearsal(call)) await call.terminal.write(`would delete ${path}`);
    else {
      await rm(path);
      await call.terminal.write(`${call.program} ${name}: removed`);
    }
  }
  return 0;
};

async function cleanFirst(call: Call, path: string): Promise<void> {
  await refuseWhileRunning(located(call, path).state, 'removing it');
  try {
    await cleanUpOne(call, path);
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    if (!call.force)
      throw new FatalError(`${thrown.message}. Give --force to delete the file all the same`, {
        cause: thrown,
      });
    call.terminal.note(`${call.program}: not cleaned up: ${thrown.message}\n`);
  }
}
