import type { ReceivedReport } from '../flow/item.js';
import { dropped } from '../flow/outcome.js';
import { type Stage, pass } from '../flow/stage.js';
import type { Plugins } from './plugins.js';

/** on_report as a stage: false keeps a delivery record from being shown. */
export function reportHook(plugins: Plugins): Stage<ReceivedReport> {
  const entries = plugins.entries('on_report');
  return {
    name: 'on_report',
    run: async (item, stop) => {
      for (const entry of entries) {
        if ((await entry.run(item.report, plugins.context(stop))) === false)
          return dropped(`on_report ${entry.name}`);
      }
      return pass;
    },
  };
}
