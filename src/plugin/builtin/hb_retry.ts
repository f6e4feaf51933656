import type { Plugin } from '../plugin.js';

/** How many messages wait to be tried again, when there are any. */
export const plugin: Plugin = {
  on_heartbeat: ({ retries }, { logger }) => {
    if (retries !== undefined && retries > 0)
      logger.info(`housekeeping: ${retries} waiting to be tried again`);
  },
};
