import type { Config } from '../config/config.js';
import { logFile } from '../config/state-paths.js';
import type { Host } from './host.js';
import { placesOf } from './order.js';

/** The log file of an instance; 0 is the supervisor's. */
export const logFileOf = (config: Config, host: Host, number: number): string =>
  logFile(
    placesOf(config, host).log,
    { component: config.component, configuration: config.stateName },
    number,
  );
