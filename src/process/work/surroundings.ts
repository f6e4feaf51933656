import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { readCredentialsFile } from '../../config/credentials-file.js';
import { pluginDirectories } from '../../config/directories.js';
import { queueNameFiles } from '../../config/state-paths.js';
import { placeOf } from '../../config/syntax.js';
import type { Logger } from '../../logger.js';
import type { Host } from '../places/host.js';
import type { Surroundings } from './kit.js';
import { placesOf } from '../places/order.js';

/** What follows from a configuration and the machine, without deciding who runs it, and where its output goes. */
export type Outfit = Omit<
  Surroundings,
  'store' | 'instance' | 'write' | 'colour' | 'watcher' | 'failures' | 'paths'
>;

/** Finds credentials, directories and names. Throws FatalError when the credentials are not safe to use. */
export function outfitOf(
  config: Config,
  host: Host,
  logger: Logger,
  /** The configuration as it is by then, for who must know what is declared now. */
  read: () => Config = () => config,
): Outfit {
  const { directories, state } = placesOf(config, host);
  const file = join(directories.configuration, 'credentials.conf');
  const { credentials, warnings, errors } = readCredentialsFile(file, { home: host.home, uid: host.uid });
  for (const text of warnings) logger.warning(text);
  for (const text of errors) logger.error(text);
  const [broker] = config.queue.broker;
  const consumes = config.queueName !== undefined && broker !== undefined;
  const configured = { component: config.component, configuration: config.stateName };
  return {
    logger,
    host: config.running.hostname ?? host.name,
    version: host.version,
    state,
    olderQueueNames: consumes
      ? queueNameFiles(directories, configured, credentials.broker(config.withPassword(broker)).user)
      : [],
    pluginDirectories: pluginDirectories(directories),
    credentials: {
      broker: credentials.broker,
      site: credentials.account,
      destination: (url) => credentials.site(url).url,
    },
    now: Date.now,
    ...(config.component === 'audit' && {
      // Loaded by those who look after a pump: it brings libraries along.
      audit: async (stop) => (await import('../audit/audit-round.js')).auditRound(read, host, logger, stop),
    }),
  };
}

/** Tells what was understood in spite of doubts. */
export function sayWarnings(config: Config, logger: Logger): void {
  for (const { origin, text } of config.warnings) logger.warning(`${placeOf(origin)}: ${text}`);
}
