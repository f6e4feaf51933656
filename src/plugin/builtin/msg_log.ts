import type { Plugin } from '../plugin.js';

/** One line for each accepted announcement, or for each delivery record. */
export const plugin: Plugin = {
  on_message: ({ announcement: { pubTime, baseUrl, relPath, topic } }, { logger }) => {
    logger.info(`message: ${pubTime} ${baseUrl} ${relPath}`, { topic });
  },
  on_report: ({ about, code, host, user, elapsed }, { logger }) => {
    logger.info(
      `record: ${about.pubTime} ${about.baseUrl} ${about.relPath} ${code} ${host} ${user} ${elapsed}`,
    );
  },
};
