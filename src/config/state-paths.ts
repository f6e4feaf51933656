import { join } from 'node:path';
import { FatalError } from '../errors.js';
import type { Directories } from './directories.js';

/** One configuration of one component. */
export interface Configured {
  readonly component: string;
  readonly configuration: string;
}

/** A name becomes one element of a path. Throws FatalError (2) when it would not. */
function element(name: string): string {
  if (name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name)) return name;
  throw new FatalError(`"${name}" cannot name a file; use letters, digits, _ and -`, { exitCode: 2 });
}

const programOf = ({ component, configuration }: Configured): string =>
  `sr_${element(component)}_${element(configuration)}`;

/** Where a configuration keeps what survives a restart (configuration section 1.3). */
export const stateDirectory = (directories: Directories, { component, configuration }: Configured): string =>
  join(directories.state, element(component), element(configuration));

const digits = (instance: number): string => String(instance).padStart(2, '0');

/** The log of an instance, counted from 1. */
export const logFile = (log: string, configured: Configured, instance: number): string =>
  join(log, `${programOf(configured)}_${digits(instance)}.log`);

/** Files that hold the name of a queue that an older program declared: version 2's, then that of 2016. */
export function queueNameFiles(
  directories: Directories,
  configured: Configured,
  brokerUser: string,
): readonly string[] {
  const name = `sr_${element(configured.component)}.${element(configured.configuration)}`;
  return [
    join(stateDirectory(directories, configured), `${name}.${element(brokerUser)}.qname`),
    join(directories.state, 'queue', `.${name}.queue`),
  ];
}
