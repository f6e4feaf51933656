import { from } from '../flow/line.js';
import { queue } from '../intake/queue.js';
import { reportHook } from '../plugin/report-hook.js';
import { admitReport } from '../stage/admit.js';
import { chooseReport } from '../stage/choose.js';
import { printReport } from '../stage/print.js';
import { acknowledge } from '../stage/settle/acknowledge.js';
import { logOutcome } from '../stage/settle/log-outcome.js';
import { retryLater } from '../stage/settle/retry-later.js';
import type { Component } from './component.js';
import { paceOf, queueOptions } from './consuming.js';

export const log: Component = {
  name: 'report',
  summary: 'show the delivery records of what you posted',
  refused: {
    save: 'saving messages to a file is not available yet',
    restore: 'restoring messages from a file is not available yet',
    vip: 'waiting for an address is not available yet',
    save_file: 'saving messages to a file is not available yet',
    exchange_split: 'only winnow reads split exchanges',
  },
  withoutEffect: {},
  build: (config, kit) =>
    from(
      queue(kit.consumer(), kit.store.retries, queueOptions(config, kit)),
      // Records are shown in the order in which they came.
      { ...paceOf(config), lanes: 1 },
      kit.logger,
    )
      .to(admitReport())
      .to(chooseReport({ rules: config.rules, acceptUnmatch: config.selection.acceptUnmatch }))
      .to(reportHook(kit.plugins))
      .to(printReport(kit.write, config.selection.outlet === 'json' ? 'json' : 'table', kit.colour))
      .settling(
        retryLater(kit.store.retries, { now: kit.now }, kit.logger),
        logOutcome(kit.logger, { logReject: config.running.logReject }),
        kit.watcher,
        acknowledge(),
      ),
};
