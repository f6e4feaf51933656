import { statSync } from 'node:fs';
import { components } from '../../config/components.js';
import type { Config } from '../../config/config.js';
import { type Directories, listConfigurations } from '../../config/directories.js';
import type { ComponentName } from '../../config/option.js';
import { readConfig } from '../../config/read.js';
import { FatalError, messageOf, systemCode } from '../../errors.js';
import type { ReadFile } from '../../pump/check-files.js';
import type { Host } from '../places/host.js';

/** A configuration of this user. */
export interface Configured {
  /** `sarra/from_alice`. */
  readonly key: string;
  readonly program: string;
  /** What it says, or why it cannot be used. */
  readonly read: Config | { readonly problem: string };
}

/** Every configuration of this user that is not switched off, read. */
export const everyConfiguration = (directories: Directories, host: Host): readonly Configured[] =>
  Object.values(components).flatMap((facts) =>
    listConfigurations(directories, facts.name)
      .filter(({ kind }) => kind === 'active')
      .map(({ name, path }) => ({
        key: `${facts.name}/${name}`,
        program: facts.program,
        read: readOne(facts.name, path, directories, host),
      })),
  );

function readOne(
  component: ComponentName,
  configuration: string,
  directories: Directories,
  host: Host,
): Configured['read'] {
  try {
    return readConfig({
      component,
      configuration,
      directories,
      environment: host.environment,
      cwd: host.cwd,
      home: host.home,
      hostname: host.name,
    });
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    return { problem: messageOf(thrown) };
  }
}

/** What a check of files needs to know of them. */
export const asReadFiles = (all: readonly Configured[]): readonly ReadFile[] =>
  all.map(({ key, read }) => {
    if ('problem' in read) return { name: key, problem: read.problem };
    const { queueName, queue } = read;
    const [broker = ''] = queue.broker;
    return {
      name: key,
      queue: queueName?.kind === 'fixed' ? `${queueName.name} on ${broker}` : undefined,
    };
  });

/** Mode of a file; undefined where there is none. */
export function modeOf(file: string): number | undefined {
  try {
    return statSync(file).mode;
  } catch (thrown) {
    if (systemCode(thrown) === undefined) throw thrown;
    return undefined;
  }
}
