import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { components } from '../../config/components.js';
import { configurationName, locateConfiguration } from '../../config/reading/locate.js';
import { stateDirectory } from '../../config/state-paths.js';
import { FatalError, messageOf, systemCode } from '../../errors.js';
import type { Host } from './host.js';
import { baseDirectories } from './user-directories.js';
import { type Order, placesOf, readOrder } from './order.js';

/** Where the state of a configuration is, found without reading the configuration where that can be avoided. */
export interface Located {
  /** Without directory and suffix. */
  readonly name: string;
  readonly file: string;
  readonly state: string;
  /** What is wrong with the configuration, where it had to be read. */
  readonly problem?: string;
}

/** Lines that may move the state elsewhere, or bring such a line with them. */
const movesState = /^\s*-*(statehost|sh|hostdir|hostname|include|config|c)\s/m;

/**
 * A configuration that is broken may still run, and must be found then: it is taken to be at the usual place. Throws
 * FatalError (2) when there is no such configuration.
 */
export function locate(order: Order & { readonly configuration: string }, host: Host): Located {
  const directories = baseDirectories(host);
  const { configuration, site } = directories;
  const file = locateConfiguration(order.configuration, order.component, {
    configuration,
    site,
    cwd: host.cwd,
  });
  const name = configurationName(file);
  const usual = stateDirectory(directories, { component: order.component, configuration: name });
  const general = ['default.conf', 'admin.conf', `${components[order.component].name}.conf`];
  const files = [...general.map((leaf) => join(configuration, leaf)), file];
  const isElsewhere = order.options.length > 0 || files.some((one) => movesState.test(textOf(one)));
  if (!isElsewhere) return { name, file, state: usual };
  try {
    return { name, file, state: placesOf(readOrder(order, host), host).state };
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    return { name, file, state: usual, problem: messageOf(thrown) };
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    // Reading the configuration in earnest will say what is wrong.
    if (systemCode(thrown) === undefined) throw thrown;
    return '';
  }
}
