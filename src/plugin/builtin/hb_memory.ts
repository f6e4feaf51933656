import type { Plugin } from '../plugin.js';

const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);

/** Memory in use, in one line. */
export const plugin: Plugin = {
  on_heartbeat: (_event, { logger }) => {
    const { rss, heapUsed } = process.memoryUsage();
    logger.info(`housekeeping: memory ${mib(rss)} MiB, heap ${mib(heapUsed)} MiB`);
  },
};
