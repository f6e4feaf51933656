import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { listConfigurations, pluginDirectories } from '../config/directories.js';
import { redact } from '../config/url.js';
import { FatalError } from '../errors.js';
import { spoolsBelow } from '../process/posting/spools.js';
import type { Call, Run } from './action.js';
import { directoriesFor, examplesOf, generalFiles, homeOf, listedOne } from './files.js';

/** Lists configurations, examples and places; or prints one configuration, without passwords. */
export const list: Run = async (call) => {
  const { configuration } = call.given;
  if (configuration === undefined) return overview(call);
  if (configuration === 'plugins') return plugins(call);
  await printFile(call, configuration);
  return 0;
};

async function printFile(call: Call, named: string): Promise<void> {
  const directories = directoriesFor(call);
  const general = generalFiles.find((name) => name === named);
  if (general === 'credentials.conf') {
    throw new FatalError('credentials are not printed; look into the file with edit credentials.conf');
  }
  const file = general === undefined ? listedOne(call, named).path : join(directories.configuration, general);
  const text = await readFile(file, 'utf8');
  for (const line of text.replace(/\n$/, '').split('\n')) await call.terminal.write(redact(line));
}

const words = { active: '', disabled: ' (disabled)', fragment: ' (to be included)' } as const;

async function overview(call: Call): Promise<number> {
  const directories = directoriesFor(call);
  const own = listConfigurations(directories, call.facts.name);
  if (call.json) {
    const all = own.map(({ name, kind, path }) => ({ name, kind, path }));
    await call.terminal.write(JSON.stringify(all, undefined, 2));
    return 0;
  }
  const general = generalFiles.filter((name) => existsSync(join(directories.configuration, name)));
  const sections: readonly (readonly [string, readonly string[]])[] = [
    [`configurations in ${homeOf(call)}`, own.map(({ name, kind }) => `${name}${words[kind]}`)],
    [`general files in ${directories.configuration}`, general],
    [`examples (${call.program} add NAME)`, await examplesOf(call.facts.name)],
    ['logs', [directories.log]],
    ['state', [join(directories.state, call.facts.name)]],
    ...(call.facts.name === 'post' ? [['spools', await spools(directories.state)] as const] : []),
  ];
  for (const [title, lines] of sections) {
    await call.terminal.write(`${title}:`);
    for (const line of lines.length === 0 ? ['none'] : lines) await call.terminal.write(`    ${line}`);
  }
  return 0;
}

/** Posts on disk that wait for their broker, those of runs without configuration included. */
async function spools(state: string): Promise<readonly string[]> {
  const found = await spoolsBelow(join(state, 'post'));
  return found.map(
    ({ directory, destination, waiting }) => `${waiting} posts wait in ${directory} for ${destination}`,
  );
}

async function plugins(call: Call): Promise<number> {
  for (const directory of pluginDirectories(directoriesFor(call))) {
    if (!existsSync(directory)) continue;
    for (const name of (await readdir(directory)).sort())
      await call.terminal.write(join(directory, basename(name)));
  }
  return 0;
}
