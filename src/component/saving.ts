import type { Config } from '../config/config.js';
import { from } from '../flow/line.js';
import type { Flow } from '../flow/recipe.js';
import { queue } from '../intake/queue.js';
import { admit } from '../stage/door/admit.js';
import { save } from '../stage/pass/save.js';
import { select } from '../stage/choose/select.js';
import type { RetryList } from '../store/store.js';
import { vouchOf } from './collecting.js';
import type { Kit } from './component.js';
import {
  ending,
  headersOf,
  identityOf,
  paceOf,
  prefetchOf,
  queueOptions,
  selectOptions,
} from './consuming.js';

/** The retry list, which waits meanwhile. */
export const untouched = (retries: RetryList): RetryList => ({
  ...retries,
  take: async () => [],
  size: async () => ({ waiting: 0, nextDue: undefined, oldest: undefined }),
});

/** The recipe of `save`: what the rules accept is kept in a file, and nothing else is done about it. */
export function saving(config: Config, kit: Kit): Flow {
  const consumer = kit.consumer(prefetchOf(config, kit));
  // What is refused has a record now: it goes to whoever it is about, not to whom the message names.
  const vouch = config.selection.sourceFromExchange ? vouchOf(config, kit) : undefined;
  const intake = queue(consumer, untouched(kit.store.retries), { ...queueOptions(config, kit), vouch });
  const saved = from(intake, paceOf(config, kit), kit.logger)
    .to(admit(identityOf(config, kit), headersOf(config), kit.logger))
    .to(select(selectOptions(config)))
    .to(save(kit.saveFile(), kit.logger));
  return ending(saved.settling, config, kit);
}
