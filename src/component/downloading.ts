import type { Config } from '../config/config.js';
import type { OptionName } from '../config/options/index.js';
import type { Compared, Fetched, Installed, Placed, Received, Taken } from '../flow/item.js';
import type { Line } from '../flow/line.js';
import { type Settler, pass } from '../flow/stage.js';
import { hook } from '../plugin/hook.js';
import { assembler } from '../stage/install/assemble.js';
import { dedupe } from '../stage/choose/dedupe.js';
import { events } from '../stage/choose/events.js';
import { fetch } from '../stage/fetch/fetch.js';
import { gate } from '../stage/choose/gate.js';
import { install } from '../stage/install/install.js';
import { join } from '../stage/install/join.js';
import { keepPart } from '../stage/install/keep-part.js';
import { latest, stillOurs } from '../stage/fetch/latest.js';
import { takenAway } from '../stage/fetch/taken-away.js';
import { removeUpstream } from '../stage/settle/remove-upstream.js';
import { place } from '../stage/place/place.js';
import { followTarget } from '../stage/place/repost.js';
import type { Round } from '../stage/choose/round.js';
import { quota } from '../stage/choose/quota.js';
import { protect } from '../stage/place/protect.js';
import { room } from '../stage/choose/room.js';
import { select } from '../stage/choose/select.js';
import { unchanged } from '../stage/fetch/unchanged.js';
import { refuseWebNames } from '../stage/door/web-names.js';
import { whenFull } from '../stage/fetch/when-full.js';
import { whole } from '../stage/install/whole.js';
import type { Transports } from '../transport/transport.js';
import type { Kit } from './component.js';
import { quotaOptions } from './quotas.js';
import {
  dedupeOptions,
  fetchOptions,
  inflightOf,
  installOptions,
  placeOptions,
  selectOptions,
} from './consuming.js';

import { inlineRefused, spoolRefused, vipRefused } from './reasons.js';

/* What the programs that fetch have in common: the stages between their door and their end. */

/** What none of them can do yet. */
export const notYet: Readonly<Partial<Record<OptionName, string>>> = {
  ...vipRefused,
  ...inlineRefused,
  ...spoolRefused,
  on_data: 'changing data on its way is not available',
  do_download: 'replacing the download is not available yet',
  do_task: 'replacing the transfer is not available yet',
};

/** What changes nothing yet. */
export const inert: Readonly<Partial<Record<OptionName, string>>> = {
  bufsize: 'buffers have a size that suits all files',
};

/** The choice: what is wanted, where it goes, what it will be called further down, and whether it is new. */
export const chosen = <I extends Received>(
  admitted: Line<Taken, I>,
  config: Config,
  kit: Kit,
  round?: Round,
) =>
  admitted
    .to(events(config.selection.events))
    .to(select(selectOptions(config)))
    .to(place(placeOptions(config, kit)))
    .to(gate(kit.holds))
    .to(hook('on_message', kit.plugins, followTarget(placeOptions(config, kit).repost)))
    .to(refuseWebNames())
    .to(dedupe(kit.store.seen, { ...dedupeOptions(config), round }));

/** Lets everything pass where nobody is limited. */
const withinQuota = (config: Config, kit: Kit): ReturnType<typeof quota> => {
  const options = quotaOptions(config, kit);
  return options === undefined ? { name: 'quota', isLight: true, run: () => pass } : quota(options);
};

/** Whether somebody hears of what has come. */
const isTold = ({ posting, selection }: Config): boolean =>
  posting.postBroker.length > 0 || selection.outlet !== 'post';

/** Where files are removed at their origin, one that is told of again is not missed there. */
function fetching(config: Config, kit: Kit, transports: Transports): ReturnType<typeof fetch> {
  const fetched = fetch(transports, kit.rootOf, fetchOptions(config));
  return config.transfer.delete ? takenAway(fetched, { transports, rootOf: kit.rootOf }) : fetched;
}

/** What is done at the origin of a file when all is done here. */
export function removal(
  { transfer, queue }: Config,
  kit: Kit,
  transports: Transports,
): readonly Settler<Taken>[] {
  const options = { attempts: queue.attempts, takesFiles: transfer.dropDir !== undefined };
  return transfer.delete ? [removeUpstream(transports, options, kit.logger)] : [];
}

/** The transfer, up to the final name and its trigger. */
export function installed<I extends Placed>(
  line: Line<Taken, I>,
  config: Config,
  kit: Kit,
  transports: Transports,
): Line<Taken, I & Compared & Fetched & Installed> {
  const { transfer } = config;
  const options = fetchOptions(config);
  return line
    .to(room(kit.holds, { least: transfer.freeSpaceMin }))
    .to(latest(kit.store.paths, inflightOf(config)))
    .to(join(kit.store.assemblies, inflightOf(config)))
    .to(unchanged(kit.rootOf, { ...options, overwrite: transfer.overwrite || transfer.discard }))
    .to(withinQuota(config, kit))
    .to(protect(kit.rootOf, installOptions(config)))
    .to(whenFull(kit.holds, fetching(config, kit, transports)))
    .to(hook('on_part', kit.plugins))
    .to(stillOurs(kit.store.paths, kit.now))
    .to(
      install(
        kit.rootOf,
        installOptions(config),
        assembler(kit.store.assemblies, transports, { ...options, isTold: isTold(config) }),
      ),
    )
    .to(keepPart(kit.store.keptFiles, transfer.partsRetention * 1000, kit.now))
    .to(hook('on_file', kit.plugins))
    .to(whole());
}
