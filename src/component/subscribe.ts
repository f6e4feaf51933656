import { FatalError } from '../errors.js';
import type { Config } from '../config/config.js';
import type { Placed, Taken } from '../flow/item.js';
import { type Line, from } from '../flow/line.js';
import type { Flow } from '../flow/recipe.js';
import { queue } from '../intake/queue.js';
import { hook } from '../plugin/hook.js';
import { admit } from '../stage/admit.js';
import { announce } from '../stage/announce.js';
import { dedupe } from '../stage/dedupe.js';
import { discard } from '../stage/discard.js';
import { events } from '../stage/events.js';
import { fetch } from '../stage/fetch.js';
import { install } from '../stage/install.js';
import { latest, stillOurs } from '../stage/latest.js';
import { place } from '../stage/place.js';
import { postRate } from '../stage/post-rate.js';
import { print } from '../stage/print.js';
import { followTarget } from '../stage/repost.js';
import { rehearse } from '../stage/rehearse.js';
import { select } from '../stage/select.js';
import { unchanged } from '../stage/unchanged.js';
import type { Component, Kit } from './component.js';
import {
  dedupeOptions,
  ending,
  fetchOptions,
  installOptions,
  headersOf,
  identityOf,
  inflightOf,
  paceOf,
  placeOptions,
  queueOptions,
  selectOptions,
} from './consuming.js';
import { announceOptions } from './posting.js';
import { refuseLaterFormat } from './refuse.js';

export const subscribe: Component = {
  name: 'subscribe',
  summary: 'fetch announced files into a tree of your own',
  refused: {
    save: 'saving messages to a file is not available yet',
    restore: 'restoring messages from a file is not available yet',
    save_file: 'saving messages to a file is not available yet',
    vip: 'waiting for an address is not available yet',
    exchange_split: 'only winnow reads split exchanges',
    inline: 'content inside of messages needs v03, which is only read',
    inline_encoding: 'content inside of messages needs v03, which is only read',
    inline_max: 'content inside of messages needs v03, which is only read',
    spool:
      'what is to be posted waits for the broker, and its message stays in the queue until it is posted, so nothing has to be kept on disk',
    on_data: 'changing data on its way is not available',
    do_download: 'replacing the download is not available yet',
    do_task: 'replacing the transfer is not available yet',
    delete: 'removing the upstream file is not available yet',
    source_from_exchange: 'only a pump may decide who the source is',
  },
  withoutEffect: {
    batch: 'transfers are counted with ftp and sftp, which are not available yet',
    bufsize: 'buffers have a size that suits all files',
    inplace: 'files announced in blocks are not assembled yet, others are never written in place',
  },
  build: (config, kit) => {
    if (config.posting.postBroker.length > 0) refuseLaterFormat(config);
    const { dryRun, simulate } = config.running;
    if (config.selection.notifyOnly) return notify(config, kit);
    return dryRun || simulate ? rehearsal(config, kit) : download(config, kit);
  },
};

/** The door and the choice: what every form of subscribing begins with. */
const chosen = (config: Config, kit: Kit) =>
  from(queue(kit.consumer(), kit.store.retries, queueOptions(config, kit)), paceOf(config), kit.logger)
    .to(admit(identityOf(config, kit), headersOf(config), kit.logger))
    .to(events(config.selection.events))
    .to(select(selectOptions(config)))
    .to(place(placeOptions(config, kit)))
    .to(hook('on_message', kit.plugins, followTarget(placeOptions(config, kit).repost)))
    .to(dedupe(kit.store.seen, dedupeOptions(config)));

function download(config: Config, kit: Kit): Flow {
  const { transfer } = config;
  const installed = chosen(config, kit)
    .to(latest(kit.store.paths, inflightOf(config)))
    .to(
      unchanged(kit.rootOf, {
        overwrite: transfer.overwrite || transfer.discard,
        preserveTime: transfer.preserveTime,
      }),
    )
    .to(fetch(kit.transports(), kit.rootOf, fetchOptions(config)))
    .to(hook('on_part', kit.plugins))
    .to(stillOurs(kit.store.paths, kit.now))
    .to(install(kit.rootOf, installOptions(config)))
    .to(hook('on_file', kit.plugins));
  if (transfer.discard) return ending(installed.to(discard(kit.rootOf)).settling, config, kit);
  return passedOn(installed, config, kit);
}

/** Nothing is moved: what would be is said. */
const rehearsal = (config: Config, kit: Kit): Flow =>
  passedOn(chosen(config, kit).to(rehearse(kit.write)), config, kit);

/** What has been done is printed, or announced further down, or neither. */
function passedOn<I extends Placed>(line: Line<Taken, I>, config: Config, kit: Kit): Flow {
  const { outlet } = config.selection;
  const { postBroker, postRateLimit } = config.posting;
  if (outlet !== 'post') return ending(line.to(print(kit.write, outlet)).settling, config, kit);
  if (postBroker.length === 0) return ending(line.settling, config, kit);
  const announced = line
    .to(hook('on_post', kit.plugins))
    .to(postRate(postRateLimit))
    .to(announce(kit.publisher(), announceOptions(config), kit.logger));
  return ending(announced.settling, config, kit);
}

/** Without transfers: the announcements are passed on, or printed. */
function notify(config: Config, kit: Kit): Flow {
  if (config.selection.outlet === 'post' && config.posting.postBroker.length === 0) {
    throw new FatalError('notify_only needs a post_broker to post to, or outlet json or url to print', {
      exitCode: 2,
    });
  }
  return passedOn(chosen(config, kit), config, kit);
}
