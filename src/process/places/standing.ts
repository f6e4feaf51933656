import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configurationMode, listConfigurations } from '../../config/directories.js';
import { type ComponentName, isRouter } from '../../config/option.js';
import { clusterFile, readClusterLines } from '../../config/reading/cluster-lines.js';
import { FatalError, messageOf, systemCode } from '../../errors.js';
import type { Host } from './host.js';
import { baseDirectories } from './user-directories.js';
import { readOrder } from './order.js';

/*
 * Those that route records take what they need from admin.conf and log2clusters.conf. A configuration of theirs is
 * only a name: under it they are started, looked at, disabled and removed as all others are. Where there is none, it is
 * written.
 */

/** The configuration of a router that serves the whole pump. */
const STANDING = 'pump';

/** Writes the configurations that a router lacks; what somebody has written or disabled stays as it is. */
export function makeStanding(component: ComponentName, program: string, host: Host): void {
  if (!isRouter(component)) return;
  const directories = baseDirectories(host);
  const known = listConfigurations(directories, component).filter(({ kind }) => kind !== 'fragment');
  const missing =
    component === 'log2clusters'
      ? clustersOf(host, program).filter((cluster) => known.every(({ name }) => name !== cluster))
      : known.length === 0
        ? [STANDING]
        : [];
  const home = join(directories.configuration, component);
  for (const name of missing) write(home, name, textFor(component, program, name));
}

/** The clusters that have a line, without this one: the same file may serve all pumps. */
function clustersOf(host: Host, program: string): readonly string[] {
  const file = join(baseDirectories(host).configuration, clusterFile);
  if (!existsSync(file)) return [];
  const lines = readClusterLines(textOf(file), file);
  const unnamed = { component: '2xlog', program, configuration: undefined, options: [], paths: [] } as const;
  const { cluster, clusterAliases } = readOrder(unnamed, host).selection;
  const own = new Set([cluster, ...clusterAliases]);
  return lines.map((line) => line.cluster).filter((name) => !own.has(name));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new FatalError(`${file}: cannot be read: ${messageOf(cause)}. Check that it is a readable file`, {
      cause,
      exitCode: 2,
    });
  }
}

const textFor = (component: ComponentName, program: string, name: string): string =>
  [
    component === 'log2clusters'
      ? `# Delivery records of what was posted at ${name} go where the line ${name} of ${clusterFile} says.`
      : '# The feeder, the users and the names of this pump are those of admin.conf.',
    `# Nothing has to be written here. To switch it off: ${program} disable ${name}`,
    '',
  ].join('\n');

/** Never over one that somebody else has written meanwhile. */
function write(home: string, name: string, text: string): void {
  const file = join(home, `${name}.conf`);
  const draft = join(home, `.${name}.${process.pid}.new`);
  try {
    mkdirSync(home, { recursive: true, mode: configurationMode });
    writeFileSync(draft, text, { mode: 0o600 });
    linkSync(draft, file);
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST')
      throw new FatalError(
        `${file}: cannot be written (${messageOf(cause)}); see to its directory and the free space`,
        {
          cause,
        },
      );
  } finally {
    rmSync(draft, { force: true });
  }
}
