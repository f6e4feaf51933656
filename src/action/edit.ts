import { spawn } from 'node:child_process';
import { open, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { configurationMode } from '../config/directories.js';
import { FatalError, messageOf, systemCode } from '../errors.js';
import { readOrder } from '../process/places/order.js';
import { type Call, type Run, isRehearsal, orderOf } from './action.js';
import { requireName } from './chosen.js';
import { directoriesFor, findListed, generalFiles, makeHome, simpleName, withSuffix } from './files.js';

/** Opens a configuration in the user's editor, made when it is missing, and checks it afterwards. */
export const edit: Run = async (call) => {
  const named = requireName(call, 'edit');
  const general = generalFiles.find((name) => name === withSuffix(named));
  const file = general === undefined ? await ownFile(call, named) : await generalFile(call, general);
  const editor = call.host.environment['VISUAL'] ?? call.host.environment['EDITOR'] ?? 'vi';
  if (isRehearsal(call)) {
    await call.terminal.write(`would open ${file} with ${editor}`);
    return 0;
  }
  await makeFile(file);
  const status = await runEditor(editor, file);
  if (status !== 0) throw new FatalError(`${editor} ended with exit status ${status}`);
  if (general === undefined && file.endsWith('.conf')) check(call, file);
  return 0;
};

async function ownFile(call: Call, named: string): Promise<string> {
  const home = await makeHome(call);
  return findListed(call, named)?.path ?? join(home, withSuffix(simpleName(named)));
}

async function generalFile(call: Call, name: string): Promise<string> {
  const { configuration } = directoriesFor(call);
  await mkdir(configuration, { recursive: true, mode: configurationMode });
  return join(configuration, name);
}

async function makeFile(file: string): Promise<void> {
  try {
    await (await open(file, 'wx', 0o600)).close();
  } catch (thrown) {
    if (systemCode(thrown) === 'EEXIST') return;
    throw new FatalError(`${file} cannot be made: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/** The variable may hold words for the editor, so a shell takes it apart; the file's name is never part of it. */
function runEditor(editor: string, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
    child.once('error', (cause) => reject(new FatalError(`${editor} cannot be started`, { cause })));
    child.once('exit', (status) => resolve(status ?? 1));
  });
}

/** What is wrong is better said now than at the start. */
function check(call: Call, file: string): void {
  try {
    const { warnings } = readOrder({ ...orderOf(call), configuration: file }, call.host);
    for (const { text } of warnings) call.terminal.note(`${call.program}: warning: ${text}\n`);
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    throw new FatalError(`saved, but it cannot be used so: ${thrown.message}`, {
      exitCode: 1,
      cause: thrown,
    });
  }
}
