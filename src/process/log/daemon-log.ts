import type { Config } from '../../config/config.js';
import { logFile } from '../../config/state-paths.js';
import type { Logger } from '../../logger.js';
import type { Host } from '../places/host.js';
import { type LineSink, openLogFile } from './log-file.js';
import { createLogger } from './log.js';
import { placesOf } from '../places/order.js';

/** The log file of an instance; 0 is the supervisor's. */
export const logFileOf = (config: Config, host: Host, number: number): string =>
  logFile(
    placesOf(config, host).log,
    { component: config.component, configuration: config.stateName },
    number,
  );

/** Opens the log file of an instance. Throws FatalError when it cannot be written. */
export function openLogOf(config: Config, host: Host, number: number): LineSink {
  const { chmodLog, logrotate, logrotateInterval } = config.running;
  return openLogFile({
    path: logFileOf(config, host, number),
    mode: chmodLog,
    keep: logrotate,
    interval: logrotateInterval * 1000,
    now: Date.now,
  });
}

/** The logger of an instance, as its configuration wants it. */
export const loggerOf = (config: Config, instance: number, sink: LineSink): Promise<Logger> =>
  createLogger({
    level: config.running.loglevel,
    format: config.running.logFormat === 'json' ? 'json' : 'text',
    write: sink.write,
    base: { program: config.program, configuration: config.name, instance },
  });
