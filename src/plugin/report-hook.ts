import type { ReceivedReport } from '../flow/item.js';
import { dropped } from '../flow/outcome.js';
import { type Stage, pass } from '../flow/stage.js';
import { answered } from './answered.js';
import type { Plugins } from './plugins.js';

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
