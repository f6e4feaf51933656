import { statSync } from 'node:fs';
import { components } from '../config/components.js';
import { listConfigurations } from '../config/directories.js';
import { readConfig } from '../config/read.js';
import { FatalError, messageOf, systemCode } from '../errors.js';
import type { ReadFile } from '../pump/check-files.js';
import type { Administration } from './administration.js';
import type { Host } from './host.js';

/** Every configuration of this user that is not switched off, read. */
export function readAllConfigurations({ directories }: Administration, host: Host): readonly ReadFile[] {
  return Object.values(components).flatMap((facts) =>
    listConfigurations(directories, facts.name)
      .filter(({ kind }) => kind === 'active')
      .map(({ name, path }): ReadFile => {
        const title = `${facts.name}/${name}`;
        try {
          const config = readConfig({
            component: facts.name,
            configuration: path,
            directories,
            environment: host.environment,
            cwd: host.cwd,
            home: host.home,
            hostname: host.name,
          });
          const { queueName } = config;
          const [broker = ''] = config.queue.broker;
          return {
            name: title,
            queue: queueName?.kind === 'fixed' ? `${queueName.name} on ${broker}` : undefined,
          };
        } catch (thrown) {
          if (!(thrown instanceof FatalError)) throw thrown;
          return { name: title, problem: messageOf(thrown) };
        }
      }),
  );
}

/** Mode of a file; undefined where there is none. */
export function modeOf(file: string): number | undefined {
  try {
    return statSync(file).mode;
  } catch (thrown) {
    if (systemCode(thrown) === undefined) throw thrown;
    return undefined;
  }
}
