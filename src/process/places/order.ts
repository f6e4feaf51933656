import { components } from '../../config/components.js';
import type { Config } from '../../config/config.js';
import { type Directories, directoriesOf } from '../../config/directories.js';
import type { ComponentName } from '../../config/option.js';
import { readConfig } from '../../config/read.js';
import { stateDirectory } from '../../config/state-paths.js';
import type { Directive } from '../../config/syntax.js';
import { baseDirectories } from './user-directories.js';
import type { Host } from './host.js';

/**
 * What to run, before anything was read: it travels as JSON from the command line to the supervisor and on to its
 * instances, over their channels, because an option may hold a password and words of a command line do not.
 */
export interface Order {
  readonly component: ComponentName;
  /** As the user called it: `sr_log` is `sr_report` by another name. */
  readonly program: string;
  /** Undefined for a run without configuration. */
  readonly configuration: string | undefined;
  /** Options of the command line. */
  readonly options: readonly Directive[];
  /** Paths to announce. */
  readonly paths: readonly string[];
}

/** Reads the configuration of an order. Throws FatalError (exit code 2) naming the line that is wrong. */
export function readOrder(order: Order, host: Host): Config {
  const directories = baseDirectories(host);
  return readConfig({
    component: order.component,
    configuration: order.configuration,
    options: order.options,
    paths: order.paths,
    directories,
    environment: host.environment,
    cwd: host.cwd,
    home: host.home,
    hostname: host.name,
  });
}

/** Where a configuration keeps its things. */
export interface Places {
  readonly directories: Directories;
  /** State directory of the configuration. */
  readonly state: string;
  /** Directory of its log files. */
  readonly log: string;
}

/** The places of a configuration, per host where `statehost` asks for it. */
export function placesOf(config: Config, host: Host): Places {
  const { statehost, log, hostname } = config.running;
  const directories = directoriesOf(
    {
      env: host.environment,
      home: host.home,
      platform: host.platform,
      hostname: hostname ?? host.name,
    },
    statehost ?? 'off',
  );
  return {
    directories,
    state: stateDirectory(directories, { component: config.component, configuration: config.stateName }),
    log: log ?? directories.log,
  };
}

/** `sr_subscribe dd`, as a configuration is called in messages. */
export const titleOf = (order: Pick<Order, 'program' | 'configuration'>): string =>
  order.configuration === undefined ? order.program : `${order.program} ${order.configuration}`;

/** What is known of a component before its configuration is read. */
export const factsOf = (order: Order): (typeof components)[ComponentName] => components[order.component];
