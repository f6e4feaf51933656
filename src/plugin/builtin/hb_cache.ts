import type { Plugin } from '../plugin.js';

/** The size of the table of duplicates, where `cache_stat` asks for it. */
export const plugin: Plugin = {
  on_heartbeat: ({ duplicates }, { logger }) => {
    if (duplicates !== undefined)
      logger.info(`housekeeping: ${duplicates} keys of duplicates are remembered`);
  },
};
