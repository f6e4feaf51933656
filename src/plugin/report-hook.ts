import { messageOf } from '../errors.js';
import type { ReceivedReport } from '../flow/item.js';
import { dropped } from '../flow/outcome.js';
import { type Stage, pass } from '../flow/stage.js';
import type { Report } from '../message/report.js';
import { answered } from './answered.js';
import type { Plugins } from './plugins.js';

/**
 * on_report before a record is sent: false keeps it back. A plugin that fails does not: the record is due. Undefined
 * when no plugin wants to be asked.
 */
export function reportGate(
  plugins: Plugins,
): ((report: Report, stop: AbortSignal) => Promise<boolean>) | undefined {
  const entries = plugins.entries('on_report');
  if (entries.length === 0) return undefined;
  return async (report, stop) => {
    const context = plugins.context(stop);
    for (const entry of entries) {
      const who = `on_report ${entry.name}`;
      try {
        if ((await answered(() => entry.run(report, context), stop, who)) === false) return false;
      } catch (thrown) {
        context.logger.error(`${who}: ${messageOf(thrown)}`);
      }
    }
    return true;
  };
}

/** on_report as a stage: false keeps a delivery record from being shown. */
export function reportHook(plugins: Plugins): Stage<ReceivedReport> {
  const entries = plugins.entries('on_report');
  return {
    name: 'on_report',
    run: async (item, stop) => {
      if (entries.length === 0) return pass;
      const context = plugins.context(stop);
      for (const entry of entries) {
        const who = `on_report ${entry.name}`;
        if ((await answered(() => entry.run(item.report, context), stop, who)) === false) return dropped(who);
      }
      return pass;
    },
  };
}
