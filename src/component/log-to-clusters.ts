import { FatalError } from '../errors.js';
import { dropped } from '../flow/outcome.js';
import { aim } from '../stage/pass/aim.js';
import { firstTime, rememberSent } from '../stage/choose/first-time.js';
import type { Component } from './component.js';
import { AGAIN, onward, ownNames, records, routed, routingOptions } from './routing.js';

export const logToClusters: Component = {
  name: 'log2clusters',
  summary: 'send the delivery records about what was posted at another pump towards that pump',
  ...routingOptions,
  build: (config, kit) => {
    const clusters = new Set(config.selection.to);
    const own = [...ownNames(config, kit)].find((name) => clusters.has(name));
    if (own !== undefined)
      throw new FatalError(
        `${own} is this pump: its records are brought to their sources by sr_log2source. Remove the configuration, and its line`,
        { exitCode: 2 },
      );
    const exchange = config.posting.postExchange ?? 'xlog';
    const isThisWay = (headers: ReadonlyMap<string, string>): boolean =>
      clusters.has(headers.get('from_cluster') ?? '') && (headers.get('source') ?? '') !== '';
    const sent = records(config, kit)
      .to(aim(({ about }) => (isThisWay(about.headers) ? [exchange] : dropped('posted elsewhere'))))
      .to(firstTime(kit.store.seen))
      .to(onward(config, kit, { read: true, again: AGAIN, choose: () => exchange }));
    return routed(sent, config, kit, rememberSent(kit.store.seen));
  },
};
