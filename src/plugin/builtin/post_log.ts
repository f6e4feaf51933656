import type { Plugin } from '../plugin.js';

/** One line for each announcement before it is sent. */
export const plugin: Plugin = {
  on_post: ({ next }, { logger }) => {
    logger.info(`post: ${next.pubTime} ${next.baseUrl} ${next.relPath}`, { topic: next.topic });
  },
};
