import { dropped } from '../flow/outcome.js';
import { aim } from '../stage/pass/aim.js';
import type { Component } from './component.js';
import { eitherOf, onward, ownNames, records, routed, routingOptions } from './routing.js';

export const logToSource: Component = {
  name: 'log2source',
  summary: 'bring the delivery records about what was posted at this pump to its sources',
  ...routingOptions,
  build: (config, kit) => {
    const own = ownNames(config, kit);
    const sources = new Set(config.declared.sources);
    const brought = records(config, kit)
      .to(
        aim(({ about: { headers } }, dialect) => {
          const source = headers.get('source') ?? '';
          if (!own.has(headers.get('from_cluster') ?? '')) return dropped('posted at another pump');
          if (!sources.has(source)) return dropped('its source is none of this pump');
          return eitherOf(dialect, `xl_${source}`, `xr_${source}`);
        }),
      )
      // A source need not read them; and what one source lacks holds up nobody else.
      .to(onward(config, kit, { read: false, again: undefined }));
    return routed(brought, config, kit);
  },
};
