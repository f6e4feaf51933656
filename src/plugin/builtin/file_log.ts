import type { Plugin } from '../plugin.js';

/** One line for each file that has its final name. */
export const plugin: Plugin = {
  on_file: (event, { logger }) => {
    logger.info(`downloaded to: ${event.path ?? '-'}`, {
      size: event.size,
      from: event.announcement.baseUrl,
    });
  },
};
