import { describeBalance } from '../../flow/balance.js';
import type { Plugin } from '../plugin.js';

/** The balance of this process in one line. */
export const plugin: Plugin = {
  on_heartbeat: ({ balance }, { logger }) => logger.info(`housekeeping: ${describeBalance(balance)}`),
};
