import type { Plugin } from '../plugin.js';

const words = {
  write: 'downloaded to',
  remove: 'removed',
  link: 'linked',
  'make-directory': 'made directory',
} as const;

/** One line for each change that is there under its final name. */
export const plugin: Plugin = {
  on_file: ({ announcement, next, path, size }, { logger, program }) => {
    const { kind } = announcement.change;
    if (program === 'sr_sender') {
      logger.info(`sent: ${path ?? '-'}`, { size, to: next.relPath });
      return;
    }
    logger.info(`${words[kind]}: ${path ?? '-'}`, {
      size: kind === 'write' ? size : undefined,
      from: announcement.baseUrl,
    });
  },
};
