import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { components } from '../../config/components.js';
import { routers } from '../../config/option.js';
import { findOption } from '../../config/options/index.js';
import { readLines } from '../../config/syntax.js';
import { systemCode } from '../../errors.js';
import { baseDirectories } from '../../process/places/user-directories.js';
import { makeStanding } from '../../process/places/standing.js';
import type { SrCall } from './sr-action.js';

/** Where `report_daemons on` stands, those that route records are started with all others: they need no files. */
export function makeRouters({ host, patterns, dryRun }: SrCall): void {
  if (patterns.length > 0 || dryRun || !isWanted(baseDirectories(host).configuration)) return;
  for (const name of routers) makeStanding(name, components[name].program, host);
}

function isWanted(configuration: string): boolean {
  const said = ['default.conf', 'admin.conf']
    .flatMap((name) => linesOf(join(configuration, name)))
    .filter(({ keyword }) => findOption(keyword)?.name === 'report_daemons')
    .at(-1);
  return said !== undefined && !/^(off|no|false|0)$/i.test(said.words[0] ?? 'on');
}

function linesOf(file: string): ReturnType<typeof readLines> {
  try {
    return readLines(readFileSync(file, 'utf8'), file);
  } catch (thrown) {
    // There is none, or it is not for us: reading the configurations in earnest will say so.
    if (systemCode(thrown) === undefined) throw thrown;
    return [];
  }
}
