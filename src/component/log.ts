import type { Config } from '../config/config.js';
import type { Taken } from '../flow/item.js';
import { from } from '../flow/line.js';
import type { Settler } from '../flow/stage.js';
import { queue } from '../intake/queue.js';
import { reportHook } from '../plugin/report-hook.js';
import { admitReport } from '../stage/door/admit.js';
import { chooseReport } from '../stage/choose/choose.js';
import { pickReport } from '../stage/door/pick-report.js';
import { printReport } from '../stage/pass/print.js';
import { save } from '../stage/pass/save.js';
import { acknowledge } from '../stage/settle/acknowledge.js';
import { logOutcome } from '../stage/settle/log-outcome.js';
import { retryLater } from '../stage/settle/retry-later.js';
import type { Component } from './component.js';
import { vipRefused } from './reasons.js';
import { paceOf, prefetchOf, queueOptions, withPulse } from './consuming.js';
import { untouched } from './saving.js';

export const log: Component = {
  name: 'report',
  summary: 'show the delivery records of what you posted',
  refused: {
    ...vipRefused,
    exchange_split: 'only winnow reads split exchanges',
  },
  withoutEffect: {},
  build: (config, kit) => {
    const retries = kit.store.retries;
    const { save: isSaving } = config.queue;
    const chosen = from(
      queue(
        kit.consumer(prefetchOf(config, kit)),
        isSaving ? untouched(retries) : retries,
        queueOptions(config, kit),
      ),
      // Records are shown in the order in which they came.
      { ...paceOf(config, kit), lanes: 1 },
      kit.logger,
    )
      .to(admitReport())
      .to(chooseReport({ rules: config.rules, acceptUnmatch: config.selection.acceptUnmatch }));
    const shown = chosen
      .to(
        pickReport({
          codes: config.reporting.code,
          users: config.reporting.consumer,
          hosts: config.reporting.consumerHost,
        }),
      )
      .to(reportHook(kit.plugins))
      .to(printReport(kit.write, formOf(config), kit.colour));
    const last: readonly Settler<Taken>[] = [
      ...(config.queue.retry ? [retryLater(retries, { now: kit.now }, kit.logger)] : []),
      logOutcome(kit.logger, { logReject: config.running.logReject }),
      kit.watcher,
      acknowledge(),
    ];
    const waiting = async (): Promise<number> => (await retries.size()).waiting;
    const { settling } = isSaving ? chosen.to(save(kit.saveFile(), kit.logger)) : shown;
    return withPulse((pulse) => settling(pulse, ...last), config, kit, waiting);
  },
};

const formOf = ({ selection }: Config): 'json' | 'url' | 'table' =>
  selection.outlet === 'post' ? 'table' : selection.outlet;
