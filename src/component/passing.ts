import type { Config } from '../config/config.js';
import type { Placed, Selected, Taken } from '../flow/item.js';
import { type Line, from } from '../flow/line.js';
import type { Flow } from '../flow/recipe.js';
import type { Settler } from '../flow/stage.js';
import { queue } from '../intake/queue.js';
import { hook } from '../plugin/hook.js';
import { admit } from '../stage/door/admit.js';
import { announce } from '../stage/pass/announce.js';
import { dedupe } from '../stage/choose/dedupe.js';
import { gate } from '../stage/choose/gate.js';
import { passOn } from '../stage/pass/pass-on.js';
import { postRate } from '../stage/post/post-rate.js';
import { print } from '../stage/pass/print.js';
import { select } from '../stage/choose/select.js';
import { vet } from '../stage/door/vet.js';
import { refuseWebNames } from '../stage/door/web-names.js';
import { isEntrance, vetOptions, vouchOf } from './collecting.js';
import type { Component, Kit } from './component.js';
import {
  dedupeOptions,
  ending,
  headersOf,
  identityOf,
  paceOf,
  prefetchOf,
  queueOptions,
  selectOptions,
  topicPrefixOf,
} from './consuming.js';
import { announceOptions } from './posting.js';
import { inlineRefused, spoolRefused, vipRefused } from './reasons.js';
import { refuseLaterFormat } from './refuse.js';

/** What those that move no files cannot do, and what changes nothing in them. */
export const passingOptions = {
  refused: {
    ...vipRefused,
    ...inlineRefused,
    ...spoolRefused,
  },
  withoutEffect: {
    bufsize: 'no file is moved',
    document_root: 'no file is moved, so announcements go on with the paths that they came with',
    post_base_url: 'no file is moved, so announcements go on with the base URL that they came with',
    post_base_dir: 'no file is moved, so announcements go on with the paths that they came with',
    preserve_mode: 'no file is moved, and the header goes on as it came',
    preserve_time: 'no file is moved, and the headers go on as they came',
  },
} as const satisfies Pick<Component, 'refused' | 'withoutEffect'>;

/** The recipe of those that move no files: what the rules accept, and is no duplicate, goes on as it came. */
export function passing(config: Config, kit: Kit): Flow {
  refuseLaterFormat(config);
  const receivedPrefix = topicPrefixOf(config);
  const topicPrefix = config.posting.postTopicPrefix ?? receivedPrefix;
  const intake = { ...queueOptions(config, kit), vouch: vouchOf(config, kit) };
  const isFromUsers = isEntrance(config);
  const chosen = from(
    queue(kit.consumer(prefetchOf(config, kit)), kit.store.retries, intake),
    paceOf(config, kit),
    kit.logger,
  )
    .to(admit(identityOf(config, kit), headersOf(config), kit.logger))
    .to(vet({ ...vetOptions(config), anyFile: !isFromUsers }))
    .to(select(selectOptions(config)))
    .to(passOn({ receivedPrefix, topicPrefix }))
    .to(gate(kit.holds))
    .to(hook('on_message', kit.plugins));
  const proper = isFromUsers ? chosen.to(refuseWebNames()) : chosen;
  return passedOn(proper.to(dedupe(kit.store.seen, dedupeOptions(config))), config, kit);
}

/** The end: what has been done is printed, or announced further down, or neither. */
export function passedOn<I extends Selected & Pick<Placed, 'next'>>(
  line: Line<Taken, I>,
  config: Config,
  kit: Kit,
  more: readonly Settler<Taken>[] = [],
): Flow {
  const { outlet } = config.selection;
  const { postBroker, postRateLimit } = config.posting;
  if (outlet !== 'post') return ending(line.to(print(kit.write, outlet)).settling, config, kit, more);
  if (postBroker.length === 0) return ending(line.settling, config, kit, more);
  const announced = line
    .to(hook('on_post', kit.plugins))
    .to(postRate(postRateLimit))
    .to(announce(kit.publisher(), announceOptions(config), kit.logger));
  return ending(announced.settling, config, kit, more);
}
