import { formatParts } from '../../message/parts.js';
import type { Plugin } from '../plugin.js';

/** One line for each announcement before it is sent. */
export const plugin: Plugin = {
  on_post: ({ next }, { logger }) => {
    const { topic, change } = next;
    // Blocks of one file are told apart by it.
    const parts = change.kind === 'write' && change.parts?.method !== '1' ? change.parts : undefined;
    logger.info(`post: ${next.pubTime} ${next.baseUrl} ${next.relPath}`, {
      topic,
      ...(parts !== undefined && { parts: formatParts(parts) }),
    });
  },
};
